//! `POST /v1/sessions/{id}/extend`: more time, if policy would give it to a new session.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use gk_shared::ids::SessionId;
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
use crate::store::sessions::{self, ExtendOutcome, ExtendRequest, SessionRecord};

/// Asks for more time
///
/// The end becomes now + `ttlSeconds`. An agent moves it; with `?wait=10s` the answer comes when it has.
#[utoipa::path(post, path = "/sessions/{id}/extend", tag = "sessions", request_body = ExtendSession,
    params(("id" = SessionId, Path), ("wait" = Option<String>, Query, description = "How long to wait, at most 30s")),
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
    let before = match sessions::extend(&plane.ledger, user.origin(), &wish).await? {
        ExtendOutcome::Asked(session) | ExtendOutcome::UnderWay(session) => session,
        refused @ (ExtendOutcome::TooLong { .. }
        | ExtendOutcome::NotReady
        | ExtendOutcome::Ended
        | ExtendOutcome::NotFound) => return Err(refusal(&refused)),
    };
    let session = moved(&plane, &user, before, wait).await?;
    Ok(Json(session.view()))
}

/// Waits until the end has moved, or the session is no longer ready, or the wait is over.
async fn moved(plane: &Plane, user: &User, before: SessionRecord, wait: Duration) -> Result<SessionRecord, ApiError> {
    let until = tokio::time::Instant::now() + wait;
    let mut listener = plane.ledger.wakeups().listen(&[crate::wakeups::Wake::Session(before.id)]);
    let mut now = before.clone();
    while now.expires_at == before.expires_at && now.status() == before.status() {
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() || plane.until_stop(listener.wait(left)).await.is_none() {
            break;
        }
        now = sessions::find(&plane.ledger, before.id, user.may_change()).await?.unwrap_or(now);
    }
    Ok(now)
}

fn refusal(outcome: &ExtendOutcome) -> ApiError {
    match outcome {
        ExtendOutcome::TooLong { left_seconds } => {
            let left = humanize(u64::from(*left_seconds));
            let detail = format!("the session as a whole would pass the ceiling: at most {left} from now is left");
            ApiError::new(ErrorCode::InvalidTtl, detail)
        }
        ExtendOutcome::NotReady => {
            ApiError::new(ErrorCode::SessionNotReady, "only a session that is ready can be extended")
        }
        ExtendOutcome::Ended => ApiError::new(ErrorCode::SessionEnded, "the session has ended or is ending"),
        ExtendOutcome::NotFound | ExtendOutcome::Asked(_) | ExtendOutcome::UnderWay(_) => {
            ApiError::not_found("session")
        }
    }
}
