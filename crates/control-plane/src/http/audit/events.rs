//! `GET /v1/audit/events`: the log in order of its places.

use axum::Json;
use axum::extract::State;
use gk_shared::audit::{AuditAction, Outcome};
use gk_shared::ids::{RequestId, SessionId};
use gk_shared::problem::ErrorCode;
use gk_shared::wire::audit::AuditPage;
use tokio::time::Instant;

use crate::http::problem::{ApiError, chain};
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::audit::{self, AuditFilter, AuditSearch, Patience};
use crate::wakeups::Wake;

const DEFAULT_LIMIT: u16 = 100;
const MOST: u16 = 1000;

/// Reads the log
///
/// With `?wait=10s` a tail that has nothing new yet waits for it. An answer that was filtered cannot be verified.
#[utoipa::path(get, path = "/audit/events", tag = "audit",
    params(
        ("after" = Option<i64>, Query, minimum = 0, description = "Only events behind this place; default 0"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 1000, description = "1 to 1000, default 100"),
        ("wait" = Option<String>, Query, pattern = "^(([0-9]|[12][0-9]|30)s|[0-9]{1,4}ms)$", description = "How long to wait for the next event, at most 30s"),
        ("session" = Option<SessionId>, Query, description = "Only about this session"),
        ("object" = Option<String>, Query, description = "Only about this: a session's or a token's id, a target's name; not beside `session`"),
        ("actor" = Option<String>, Query, description = "Only by this actor"),
        ("action" = inline(Option<AuditAction>), Query, description = "Only of this kind"),
        ("outcome" = inline(Option<Outcome>), Query, description = "Only with this end"),
        ("request" = inline(Option<RequestId>), Query, description = "Only because of this request"),
        ("since" = Option<Timestamp>, Query, description = "Only at this time or after"),
        ("until" = Option<Timestamp>, Query, description = "Only before this time"),
        ("text" = Option<String>, Query, description = "Only with these words in the event, in upper or lower case"),
    ),
    responses((status = 200, description = "Events in order", body = AuditPage)))]
pub async fn list_events(State(plane): State<Plane>, mut query: Query) -> Result<Json<AuditPage>, ApiError> {
    let wait = query.wait()?;
    let (after, limit) = (after(&mut query)?, query.limit(DEFAULT_LIMIT, MOST)?);
    let filter = filter(&mut query)?;
    query.finish()?;
    if wait.is_zero() {
        show_all(&plane).await;
    }
    let until = Instant::now() + wait;
    let mut listener = plane.ledger.wakeups().listen(&[Wake::Audit]);
    loop {
        let page = audit::events(&plane.ledger, after, limit, &filter).await?;
        let left = until.saturating_duration_since(Instant::now());
        let done = !page.events.is_empty() || left.is_zero();
        if done || plane.until_stop(listener.wait(left)).await.is_none() {
            return Ok(Json(page));
        }
    }
}

/// Links what was committed before this call, so that the answer shows it. A tail sees it soon enough by itself.
pub(super) async fn show_all(plane: &Plane) {
    if let Err(error) = audit::seal(&plane.ledger, Patience::Wait).await {
        // What is linked already can still be read.
        tracing::warn!(error = %chain(&error), "the newest events are not linked yet");
    }
}

fn filter(query: &mut Query) -> Result<AuditFilter, ApiError> {
    let session: Option<SessionId> = query.take("session")?;
    let object = match (session, words(query, "object")?) {
        (Some(_), Some(_)) => {
            return Err(ApiError::new(ErrorCode::InvalidQuery, "`object`: stands beside `session`: keep one of them"));
        }
        (session, object) => object.or(session.map(|id| id.to_string())),
    };
    let search = AuditSearch {
        request: query.take("request")?,
        outcome: outcome(query)?,
        since: query.take("since")?,
        until: query.take("until")?,
        text: words(query, "text")?,
    };
    Ok(AuditFilter { object, actor: words(query, "actor")?, action: action(query)?, search })
}

/// A text that an event may hold: nothing in it steers a terminal.
fn words(query: &mut Query, name: &str) -> Result<Option<String>, ApiError> {
    let text: Option<String> = query.take(name)?;
    if text.as_ref().is_some_and(|text| text.contains(char::is_control)) {
        return Err(ApiError::new(ErrorCode::InvalidQuery, format!("`{name}`: has a control character in it")));
    }
    Ok(text)
}

fn outcome(query: &mut Query) -> Result<Option<Outcome>, ApiError> {
    let Some(word) = query.take::<String>("outcome")? else { return Ok(None) };
    let known = Outcome::ALL.iter().copied().find(|outcome| outcome.as_str() == word);
    known.map(Some).ok_or_else(|| ApiError::new(ErrorCode::InvalidQuery, "`outcome`: expected ok, denied or failed"))
}

fn after(query: &mut Query) -> Result<i64, ApiError> {
    let after: i64 = query.take("after")?.unwrap_or(0);
    if after >= 0 { Ok(after) } else { Err(ApiError::new(ErrorCode::InvalidQuery, "`after`: places begin at 1")) }
}

fn action(query: &mut Query) -> Result<Option<AuditAction>, ApiError> {
    let Some(word) = query.take::<String>("action")? else { return Ok(None) };
    let known = AuditAction::ALL.iter().copied().find(|action| action.as_str() == word);
    known.map(Some).ok_or_else(|| ApiError::new(ErrorCode::InvalidQuery, "`action`: is no kind of event"))
}
