//! `POST /v1/actors/{name}/disable`: somebody left, or their tokens are in wrong hands. May be repeated.

use axum::Json;
use axum::extract::State;
use gk_shared::ids::ActorId;
use gk_shared::names::ActorName;
use serde::Serialize;

use super::auth::User;
use super::path::Named;
use super::problem::ApiError;
use crate::plane::Plane;
use crate::store::{Lane, actors};

/// An actor whose tokens no longer work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisabledActor {
    /// The actor's id.
    actor_id: ActorId,
    /// Its name.
    actor: ActorName,
    /// Whether this call did it; `false` if it was disabled before.
    changed: bool,
}

/// Disables an actor
///
/// Its tokens are refused from the next request on, and its live sessions end.
#[utoipa::path(post, path = "/actors/{name}/disable", tag = "tokens", params(("name" = ActorName, Path)),
    responses((status = 200, description = "It is disabled", body = DisabledActor)))]
pub async fn disable_actor(
    State(plane): State<Plane>,
    user: User,
    Named(actor): Named<ActorName>,
) -> Result<Json<DisabledActor>, ApiError> {
    let found = actors::find(&plane.ledger.in_lane(Lane::Ending), &actor).await?;
    let actor_id = found.ok_or_else(|| ApiError::not_found("actor"))?;
    let changed = actors::disable(&plane.ledger, user.origin(), actor_id).await?;
    Ok(Json(DisabledActor { actor_id, actor, changed }))
}
