//! `GET /v1/audit/events`: the log in order of its places.

use axum::Json;
use axum::extract::State;
use gk_shared::audit::AuditAction;
use gk_shared::ids::SessionId;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::audit::AuditPage;
use tokio::time::Instant;

use crate::http::problem::{ApiError, chain};
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::audit::{self, AuditFilter, Patience};
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
        ("actor" = Option<String>, Query, description = "Only by this actor"),
        ("action" = inline(Option<AuditAction>), Query, description = "Only of this kind"),
    ),
    responses((status = 200, description = "Events in order", body = AuditPage)))]
pub async fn list_events(State(plane): State<Plane>, mut query: Query) -> Result<Json<AuditPage>, ApiError> {
    let wait = query.wait()?;
    let (after, limit) = (after(&mut query)?, query.limit(DEFAULT_LIMIT, MOST)?);
    let session: Option<SessionId> = query.take("session")?;
    let object = session.map(|id| id.to_string());
    let filter = AuditFilter { object, actor: query.take("actor")?, action: action(&mut query)? };
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

fn after(query: &mut Query) -> Result<i64, ApiError> {
    let after: i64 = query.take("after")?.unwrap_or(0);
    if after >= 0 { Ok(after) } else { Err(ApiError::new(ErrorCode::InvalidQuery, "`after`: places begin at 1")) }
}

fn action(query: &mut Query) -> Result<Option<AuditAction>, ApiError> {
    let Some(word) = query.take::<String>("action")? else { return Ok(None) };
    let known = AuditAction::ALL.iter().copied().find(|action| action.as_str() == word);
    known.map(Some).ok_or_else(|| ApiError::new(ErrorCode::InvalidQuery, "`action`: is no kind of event"))
}
