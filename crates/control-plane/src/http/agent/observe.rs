//! `POST /v1/agent/observe`: everything of ours on one target at one moment, held against what is wanted.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::agent::{Intents, Observation};

use crate::http::auth::AgentCaller;
use crate::http::body::LargeBody;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::observe::{self as store, Sight};

/// Reports what is on a target
#[utoipa::path(post, path = "/agent/observe", tag = "agent", request_body = Observation,
    responses((status = 200, description = "What is wanted of each session named", body = Intents)))]
pub async fn observe(
    State(plane): State<Plane>,
    caller: AgentCaller,
    LargeBody(body): LargeBody<Observation>,
) -> Result<Json<Intents>, ApiError> {
    match store::observe(&plane.ledger, &caller.agent, caller.origin(), &body).await? {
        Sight::Intents(intents) => Ok(Json(intents)),
        Sight::NotServed => Err(ApiError::not_found("target")),
    }
}
