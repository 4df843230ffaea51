//! `POST /v1/agents/{name}/revoke`: an agent's tokens and certificates work no more, from the next request on. May be
//! repeated. Its targets stay its own, for the day it is enrolled again.

use axum::Json;
use axum::extract::State;
use gk_shared::names::AgentName;
use gk_shared::wire::agent::RevokedAgent;

use crate::http::auth::User;
use crate::http::path::Named;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::agents;

/// Revokes an agent
#[utoipa::path(post, path = "/agents/{name}/revoke", tag = "agents", params(("name" = AgentName, Path)),
    responses((status = 200, description = "Nothing that it had works any more", body = RevokedAgent)))]
pub async fn revoke_agent(
    State(plane): State<Plane>,
    user: User,
    Named(name): Named<AgentName>,
) -> Result<Json<RevokedAgent>, ApiError> {
    let revoked = agents::revoke(&plane.ledger, user.origin(), &name).await?;
    revoked.map(Json).ok_or_else(|| ApiError::not_found("agent"))
}
