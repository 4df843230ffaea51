//! `GET /v1/agents`: all agents, and when they were last heard of.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::agent::AgentList;

use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::agents;

/// Lists agents
#[utoipa::path(get, path = "/agents", tag = "agents",
    responses((status = 200, description = "All agents, by name", body = AgentList)))]
pub async fn list_agents(State(plane): State<Plane>, query: Query) -> Result<Json<AgentList>, ApiError> {
    query.finish()?;
    Ok(Json(AgentList { agents: agents::list(&plane.ledger).await? }))
}
