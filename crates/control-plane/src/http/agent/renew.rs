//! `POST /v1/agent/jobs/{id}/renew`: the agent is still at it.

use axum::Json;
use axum::extract::State;
use gk_shared::ids::JobId;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::job::{RenewJob, RenewedJob};

use crate::http::auth::AgentCaller;
use crate::http::body::Body;
use crate::http::path::Named;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::jobs;

/// What an agent is told that does not hold the lease.
pub(super) fn stale() -> ApiError {
    ApiError::new(ErrorCode::StaleLease, "the lease is not yours any more, or the session is no longer wanted so")
}

/// Renews a lease
#[utoipa::path(post, path = "/agent/jobs/{id}/renew", tag = "agent", request_body = RenewJob, params(("id" = JobId, Path)),
    responses((status = 200, description = "The lease holds on", body = RenewedJob)))]
pub async fn renew_job(
    State(plane): State<Plane>,
    caller: AgentCaller,
    Named(id): Named<JobId>,
    Body(body): Body<RenewJob>,
) -> Result<Json<RenewedJob>, ApiError> {
    let held = jobs::renew(&plane.ledger, &caller.agent, id, &body).await?.ok_or_else(stale)?;
    Ok(Json(RenewedJob { lease_ms: u64::try_from(held.as_millis()).unwrap_or(u64::MAX) }))
}
