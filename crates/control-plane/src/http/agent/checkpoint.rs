//! `GET /v1/agent/checkpoint`: what `/v1/audit/checkpoints` says, for agents, who keep it as witnesses.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::audit::Checkpoint;

use crate::http::audit::checkpoints::{answer, asked};
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;

/// Shows an agent where the log stands
#[utoipa::path(get, path = "/agent/checkpoint", tag = "agent",
    params(("from" = Option<i64>, Query, description = "Size of the checkpoint that the agent holds: the answer proves that it continues that one")),
    responses((status = 200, description = "The newest checkpoint", body = Checkpoint)))]
pub async fn agent_checkpoint(State(plane): State<Plane>, mut query: Query) -> Result<Json<Checkpoint>, ApiError> {
    let from = asked(&mut query)?;
    query.finish()?;
    answer(&plane, from).await
}
