//! `POST /v1/agent/jobs/claim`: the long poll by which work reaches an agent.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::job::{ClaimJobs, ClaimedJobs};
use tokio::time::Instant;

use crate::http::auth::AgentCaller;
use crate::http::body::Body;
use crate::http::problem::ApiError;
use crate::http::query::MAX_WAIT;
use crate::plane::Plane;
use crate::store::jobs;

/// A claim is never cut off in the middle, or jobs would be leased to nobody; a stop is looked for between slices.
const SLICE: Duration = Duration::from_secs(1);

/// Claims jobs
#[utoipa::path(post, path = "/agent/jobs/claim", tag = "agent", request_body = ClaimJobs,
    responses((status = 200, description = "Jobs, ends before beginnings; none if the wait was in vain", body = ClaimedJobs)))]
pub async fn claim_jobs(
    State(plane): State<Plane>,
    caller: AgentCaller,
    Body(body): Body<ClaimJobs>,
) -> Result<Json<ClaimedJobs>, ApiError> {
    let wait = Duration::from_millis(body.wait_ms.into());
    if wait > MAX_WAIT {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "`waitMs` must be at most 30000"));
    }
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let wait_ms = u32::try_from(left.min(SLICE).as_millis()).expect("a slice is a second");
        let jobs = jobs::claim(&plane.ledger, &caller.agent, &ClaimJobs { wait_ms, ..body.clone() }).await?;
        if !jobs.is_empty() || left <= SLICE || plane.stop.is_cancelled() {
            return Ok(Json(ClaimedJobs { jobs }));
        }
    }
}
