//! `POST /v1/agent/heartbeat`: an agent lives, and says how its targets are.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::agent::{Heartbeat, HeartbeatAnswer};

use crate::http::auth::AgentCaller;
use crate::http::body::LargeBody;
use crate::http::problem::{ApiError, chain};
use crate::plane::Plane;
use crate::store::{Lane, agents};

/// Reports that the agent lives
#[utoipa::path(post, path = "/agent/heartbeat", tag = "agent", request_body = Heartbeat,
    responses((status = 200, description = "Heard", body = HeartbeatAnswer)))]
pub async fn heartbeat(
    State(plane): State<Plane>,
    caller: AgentCaller,
    LargeBody(body): LargeBody<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, ApiError> {
    let answer = agents::heartbeat(&plane.ledger, &caller.agent, &body, crate::VERSION).await?;
    if let Some(witnessed) = &body.witnessed {
        let ledger = plane.ledger.in_lane(Lane::Ending);
        if let Err(error) = plane.notary.hear(&ledger, caller.agent.name.as_str(), witnessed).await {
            // It will be reported again.
            tracing::warn!(error = %chain(&error), "the log could not be held against what an agent witnessed");
        }
    }
    Ok(Json(answer))
}
