//! `POST /v1/agent/jobs/{id}/complete`: how it went. Compare-and-set on the lease; a repeat gets the same answer.

use axum::Json;
use axum::extract::State;
use gk_shared::ids::JobId;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::job::{CompleteJob, CompletedJob, JobOutcome};

use super::renew::stale;
use crate::http::auth::AgentCaller;
use crate::http::body::Body;
use crate::http::path::Named;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::jobs::{self, Completion};

/// Reports how a job went
#[utoipa::path(post, path = "/agent/jobs/{id}/complete", tag = "agent", request_body = CompleteJob, params(("id" = JobId, Path)),
    responses((status = 200, description = "The result was taken", body = CompletedJob)))]
pub async fn complete_job(
    State(plane): State<Plane>,
    caller: AgentCaller,
    Named(id): Named<JobId>,
    Body(body): Body<CompleteJob>,
) -> Result<Json<CompletedJob>, ApiError> {
    let completion = jobs::complete(&plane.ledger, &caller.agent, caller.origin(), (id, &body)).await?;
    plane.metrics.job(kind(&body.outcome), outcome(completion));
    match completion {
        Completion::Taken(timing) => {
            plane.metrics.timed(timing);
            Ok(Json(CompletedJob { changed: true }))
        }
        Completion::Repeated => Ok(Json(CompletedJob { changed: false })),
        Completion::Stale => Err(stale()),
        Completion::Refused(code) => {
            Err(ApiError::new(code, "the report breaks a rule, and the session is being ended"))
        }
        Completion::WrongOutcome => {
            Err(ApiError::new(ErrorCode::InvalidRequest, "`outcome` is of another kind than the job"))
        }
    }
}

const fn kind(outcome: &JobOutcome) -> &'static str {
    match outcome {
        JobOutcome::Minted { .. } => "minted",
        JobOutcome::Extended { .. } => "extended",
        JobOutcome::Ended { .. } => "ended",
        JobOutcome::Refused { .. } => "refused",
    }
}

const fn outcome(completion: Completion) -> &'static str {
    match completion {
        Completion::Taken(_) => "taken",
        Completion::Repeated => "repeated",
        Completion::Stale => "stale",
        Completion::Refused(_) => "refused",
        Completion::WrongOutcome => "wrong",
    }
}
