//! `GET /v1/agent/me`: who an agent is to the control plane and what it may serve. For its doctor, which changes nothing:
//! an agent that only looks is not thereby online.

use axum::Json;
use axum::extract::State;
use gk_shared::ids::AgentId;
use gk_shared::names::{AgentName, TargetName};
use jiff::Timestamp;
use serde::Serialize;

use crate::http::auth::AgentCaller;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::{Lane, agents};

/// `GET /v1/agent/me`: the agent that asks.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentSelf {
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// Targets it may serve.
    pub targets: Vec<TargetName>,
    /// The control plane's version.
    pub version: String,
    /// Ledger's clock.
    pub ledger_time: Timestamp,
}

/// Shows who the agent is and what it may serve
#[utoipa::path(get, path = "/agent/me", tag = "agent",
    responses((status = 200, description = "The agent that asks", body = AgentSelf)))]
pub async fn agent_me(
    State(plane): State<Plane>,
    caller: AgentCaller,
    query: Query,
) -> Result<Json<AgentSelf>, ApiError> {
    query.finish()?;
    let ledger = plane.ledger.in_lane(Lane::Ending);
    let known = agents::list(&ledger).await?.into_iter().find(|agent| agent.agent_id == caller.agent.id);
    let targets = known.ok_or_else(|| ApiError::not_found("agent"))?.targets;
    let version = crate::VERSION.to_owned();
    Ok(Json(AgentSelf {
        agent_id: caller.agent.id,
        name: caller.agent.name,
        targets,
        version,
        ledger_time: ledger.now().await?,
    }))
}
