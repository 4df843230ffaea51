//! `GET /v1/sessions`: a page of sessions, newest first, without credentials.

use axum::Json;
use axum::extract::State;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::session::SessionPage;

use super::cursor::Binding;
use crate::http::auth::User;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::sessions::{self, ListFilter, SessionRecord, Viewer};

const DEFAULT_LIMIT: u16 = 50;
const MOST: u16 = 200;

/// Lists sessions
#[utoipa::path(get, path = "/sessions", tag = "sessions",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 200, description = "1 to 200, default 50"),
        ("cursor" = Option<String>, Query, description = "nextCursor of the page before"),
        ("status" = Option<gk_shared::session::SessionStatus>, Query, description = "Only with this status"),
        ("target" = Option<gk_shared::names::TargetName>, Query, description = "Only on this target"),
        ("mine" = Option<bool>, Query, description = "Only the caller's own"),
        ("live" = Option<bool>, Query, description = "Only those that are not over"),
    ),
    responses((status = 200, description = "A page", body = SessionPage)))]
pub async fn list_sessions(
    State(plane): State<Plane>,
    user: User,
    mut query: Query,
) -> Result<Json<SessionPage>, ApiError> {
    let viewer = if query.flag("mine")? { user.own() } else { user.viewer() };
    let (status, target) = (query.take("status")?, query.take("target")?);
    let (live, limit) = (query.flag("live")?, query.limit(DEFAULT_LIMIT, MOST)?);
    let cursor: Option<String> = query.take("cursor")?;
    query.finish()?;
    let mut filter = ListFilter { viewer, status, target, live, after: None, limit };
    let described = describe(&filter);
    let binding = Binding { actor: user.actor, filter: &described };
    if let Some(cursor) = cursor {
        let after = binding.read(&cursor);
        let wrong = "it was cut or altered, or belongs to another list or person";
        filter.after = Some(after.ok_or_else(|| ApiError::new(ErrorCode::InvalidCursor, wrong))?);
    }
    let page = sessions::list(&plane.ledger, &filter).await?;
    let sessions = page.sessions.iter().map(SessionRecord::view).collect();
    Ok(Json(SessionPage { sessions, next_cursor: page.next.map(|id| binding.write(id)) }))
}

/// What a cursor of this list is bound to: everything but the place and the size of the page.
fn describe(filter: &ListFilter) -> String {
    let whose = match filter.viewer {
        Viewer::All => "all".to_owned(),
        Viewer::Actor(actor) => actor.to_string(),
    };
    format!("{whose}|{:?}|{:?}|{}", filter.status, filter.target, filter.live)
}
