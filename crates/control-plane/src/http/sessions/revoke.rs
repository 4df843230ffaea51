//! `POST /v1/sessions/{id}/revoke`: the end of a session, by its requester or an admin. May be repeated.

use axum::Json;
use axum::extract::State;
use gk_shared::ids::SessionId;
use gk_shared::reason::Reason;
use gk_shared::session::SessionStatus;
use gk_shared::wire::session::{RevokeSession, SessionView};

use crate::http::auth::User;
use crate::http::body::OptionalBody;
use crate::http::path::Named;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::Lane;
use crate::store::sessions::{self, EndOutcome, EndRequest};

/// Ends a session
///
/// Answers as soon as the end is under way; with `?wait=10s` as soon as it is proven. Ending a session that is over
/// succeeds too.
#[utoipa::path(post, path = "/sessions/{id}/revoke", tag = "sessions", request_body = Option<RevokeSession>,
    params(("id" = SessionId, Path), ("wait" = Option<String>, Query, pattern = "^(([0-9]|[12][0-9]|30)s|[0-9]{1,4}ms)$", description = "How long to wait for the proof, at most 30s")),
    responses((status = 200, description = "The session", body = SessionView)))]
pub async fn revoke_session(
    State(plane): State<Plane>,
    user: User,
    Named(id): Named<SessionId>,
    mut query: Query,
    OptionalBody(body): OptionalBody<RevokeSession>,
) -> Result<Json<SessionView>, ApiError> {
    let wait = query.wait()?;
    query.finish()?;
    let note: Option<Reason> = body.reason.as_deref().map(str::parse).transpose()?;
    let wish = EndRequest { id, viewer: user.may_change(), note };
    let mut session = match sessions::end(&plane.ledger, user.origin(), &wish).await? {
        EndOutcome::Ending(session) | EndOutcome::Already(session) => session,
        EndOutcome::NotFound => return Err(super::refuse_change(&plane, &user, id).await?),
    };
    if !wait.is_zero() {
        let ledger = plane.ledger.in_lane(Lane::Ending);
        let settled = |status: SessionStatus| status.is_over() || status == SessionStatus::Quarantined;
        let found = plane.until_stop(sessions::wait(&ledger, id, user.may_change(), wait, settled)).await;
        session = found.transpose()?.flatten().unwrap_or(session);
    }
    Ok(Json(session.view()))
}
