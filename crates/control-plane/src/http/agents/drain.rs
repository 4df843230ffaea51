//! `POST /v1/agents/{name}/drain`: no new sessions for an agent that is to be stopped, or again. May be repeated.

use axum::Json;
use axum::extract::State;
use gk_shared::names::AgentName;
use gk_shared::wire::agent::{AgentView, DrainAgent};

use crate::http::auth::User;
use crate::http::body::Body;
use crate::http::path::Named;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::agents;

/// Drains an agent
///
/// It is given no new sessions, and goes on ending and extending those there are. `jobs` says what it is still at.
#[utoipa::path(post, path = "/agents/{name}/drain", tag = "agents", params(("name" = AgentName, Path)),
    request_body = DrainAgent,
    responses((status = 200, description = "The agent", body = AgentView)))]
pub async fn drain_agent(
    State(plane): State<Plane>,
    user: User,
    Named(name): Named<AgentName>,
    Body(body): Body<DrainAgent>,
) -> Result<Json<AgentView>, ApiError> {
    let agent = agents::drain(&plane.ledger, user.origin(), &name, !body.undo).await?;
    agent.map(Json).ok_or_else(|| ApiError::not_found("agent"))
}
