//! `GET /v1/sessions/{id}`: one session, with its credential for the one who asked for it.

use axum::Json;
use axum::extract::State;
use gk_shared::ids::SessionId;
use gk_shared::session::SessionStatus;
use gk_shared::wire::session::SessionView;

use super::credential::view_for;
use crate::http::auth::User;
use crate::http::path::Named;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::sessions;

/// Shows a session
///
/// With `?wait=10s` the answer comes as soon as the session is no longer being made.
#[utoipa::path(get, path = "/sessions/{id}", tag = "sessions",
    params(("id" = SessionId, Path), ("wait" = Option<String>, Query, pattern = "^(([0-9]|[12][0-9]|30)s|[0-9]{1,4}ms)$", description = "How long to wait, at most 30s")),
    responses((status = 200, description = "The session", body = SessionView)))]
pub async fn get_session(
    State(plane): State<Plane>,
    user: User,
    Named(id): Named<SessionId>,
    mut query: Query,
) -> Result<Json<SessionView>, ApiError> {
    let wait = query.wait()?;
    query.finish()?;
    let settled = |status| status != SessionStatus::Provisioning;
    let look = sessions::wait(&plane.ledger, id, user.viewer(), wait, settled);
    let session = match plane.until_stop(look).await.transpose()? {
        Some(found) => found,
        // The process is to end: as it is now. `not_found` would deny a session that exists.
        None => sessions::find(&plane.ledger, id, user.viewer()).await?,
    };
    let session = session.ok_or_else(|| ApiError::not_found("session"))?;
    Ok(Json(view_for(&plane, &user, &session).await?))
}
