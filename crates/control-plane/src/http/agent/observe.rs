//! `POST /v1/agent/observe`: everything of ours on one target at one moment, held against what is wanted.

use axum::Json;
use axum::extract::State;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::agent::{Intents, Observation};

use crate::http::auth::AgentCaller;
use crate::http::body::LargeBody;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::observe::{self as store, Sight};

/// Most roles in one observation: what is beyond cannot have been made here, and would hold up the ledger.
const MOST_ROLES: usize = 20_000;

/// Reports what is on a target
#[utoipa::path(post, path = "/agent/observe", tag = "agent", request_body = Observation,
    responses((status = 200, description = "What is wanted of each session named", body = Intents)))]
pub async fn observe(
    State(plane): State<Plane>,
    caller: AgentCaller,
    LargeBody(body): LargeBody<Observation>,
) -> Result<Json<Intents>, ApiError> {
    if body.roles.len().max(body.dropped.len()) > MOST_ROLES {
        let detail =
            format!("an observation has at most {MOST_ROLES} roles; send the rest in another, with complete=false");
        return Err(ApiError::new(ErrorCode::BodyTooLarge, detail));
    }
    match store::observe(&plane.ledger, &caller.agent, caller.origin(), &body).await? {
        Sight::Intents(intents) => Ok(Json(intents)),
        Sight::NotServed => Err(ApiError::not_found("target")),
    }
}
