//! `POST /v1/sessions/{id}/extend`: more time, if policy would give it to a new session.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use gk_shared::ids::{JobId, SessionId};
use gk_shared::problem::ErrorCode;
use gk_shared::reason::Reason;
use gk_shared::ttl::{Ttl, humanize};
use gk_shared::wire::session::{ExtendSession, SessionView};

use crate::http::auth::User;
use crate::http::body::Body;
use crate::http::path::Named;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::policy::Ask;
use crate::store::sessions::{self, ExtendOutcome, ExtendRequest, Extension};
use crate::wakeups::Wake;

/// Asks for more time
///
/// The end becomes now + `ttlSeconds`. An agent moves it; with `?wait=10s` the answer comes when it has, and is an
/// error if it will not. An end that is not later than the present one is refused, and so is a second wish while one is under
/// way.
#[utoipa::path(post, path = "/sessions/{id}/extend", tag = "sessions", request_body = ExtendSession,
    params(("id" = SessionId, Path), ("wait" = Option<String>, Query, pattern = "^(([0-9]|[12][0-9]|30)s|[0-9]{1,4}ms)$", description = "How long to wait, at most 30s")),
    responses((status = 200, description = "The session", body = SessionView)))]
pub async fn extend_session(
    State(plane): State<Plane>,
    user: User,
    Named(id): Named<SessionId>,
    mut query: Query,
    Body(body): Body<ExtendSession>,
) -> Result<Json<SessionView>, ApiError> {
    let wait = query.wait()?;
    query.finish()?;
    let ttl = Ttl::from_secs(body.ttl_seconds)?;
    let note: Option<Reason> = body.reason.as_deref().map(str::parse).transpose()?;
    let Some(session) = sessions::find(&plane.ledger, id, user.may_change()).await? else {
        return Err(super::refuse_change(&plane, &user, id).await?);
    };
    let first: Option<Reason> = session.reason.as_deref().map(str::parse).transpose()?;
    let reason = note.as_ref().or(first.as_ref());
    let ask = Ask { target: &session.target, role: &session.role, ttl, reason };
    let permit = super::permit(&plane, &user, &ask).await?;
    let wish =
        ExtendRequest { id, viewer: user.may_change(), ttl: permit.ttl(), ceiling: plane.policy.ceiling(), note };
    let asked = sessions::extend(&plane.ledger, user.origin(), &wish).await?;
    let ExtendOutcome::Asked(job) = asked else { return Err(refusal(&asked)) };
    if !wait.is_zero() {
        moved(&plane, (id, job), wait).await?;
    }
    let session = sessions::find(&plane.ledger, id, user.may_change()).await?;
    let session = session.ok_or_else(|| ApiError::not_found("session"))?;
    Ok(Json(session.view()))
}

/// Waits until the end has moved or the wait is over; that it will not move is an error.
async fn moved(plane: &Plane, (id, job): (SessionId, JobId), wait: Duration) -> Result<(), ApiError> {
    let until = tokio::time::Instant::now() + wait;
    let mut listener = plane.ledger.wakeups().listen(&[Wake::Session(id)]);
    loop {
        match sessions::extension(&plane.ledger, id, job).await? {
            Extension::Moved => return Ok(()),
            Extension::Refused(why) => {
                let detail = format!("the extension was refused: {} ({})", why.message, why.code);
                let hint = "The session goes on and ends when it would have; `gk session show ID` says when.";
                return Err(ApiError::new(ErrorCode::Conflict, detail).hint(hint));
            }
            Extension::Overtaken => return Err(refusal(&ExtendOutcome::Ended)),
            Extension::UnderWay => {}
        }
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() || plane.until_stop(listener.wait(left)).await.is_none() {
            return Ok(());
        }
    }
}

fn refusal(outcome: &ExtendOutcome) -> ApiError {
    match outcome {
        ExtendOutcome::TooLong { left_seconds } => {
            let left = humanize(u64::from(*left_seconds));
            let detail = format!("the session as a whole would pass the ceiling: at most {left} from now is left");
            ApiError::new(ErrorCode::InvalidTtl, detail)
        }
        ExtendOutcome::NotLater { until } => {
            let detail = format!("the session already runs until {until:.0}; an extension cannot make it shorter");
            let hint = "Ask for a time that ends later, or end the session with `gk session revoke ID`.";
            ApiError::new(ErrorCode::Conflict, detail).hint(hint)
        }
        ExtendOutcome::UnderWay => {
            let hint = "Retry when it is done; `gk session show ID` says when the session ends.";
            ApiError::new(ErrorCode::Conflict, "an extension of this session is already under way").hint(hint)
        }
        ExtendOutcome::NotReady => {
            ApiError::new(ErrorCode::SessionNotReady, "only a session that is ready can be extended")
        }
        ExtendOutcome::LedgerBehind(detail) => ApiError::new(ErrorCode::LedgerRestored, detail),
        ExtendOutcome::Ended => ApiError::new(ErrorCode::SessionEnded, "the session has ended or is ending"),
        ExtendOutcome::NotFound | ExtendOutcome::Asked(_) => ApiError::not_found("session"),
    }
}
