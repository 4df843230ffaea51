//! Lists of sessions, newest first. A page starts after an id, so sessions made meanwhile shift nothing.

use gk_shared::ids::SessionId;
use gk_shared::names::TargetName;
use gk_shared::session::SessionStatus;
use tokio_postgres::types::ToSql;

use super::record::{SessionRecord, Viewer, session_columns};
use crate::store::{Ledger, StoreError};

/// Which sessions to list.
#[derive(Debug, Clone)]
pub struct ListFilter {
    /// Whose.
    pub viewer: Viewer,
    /// Only with this status.
    pub status: Option<SessionStatus>,
    /// Only on this target.
    pub target: Option<TargetName>,
    /// Only those that are not over.
    pub live: bool,
    /// Only those that are older than this one: the last of the page before.
    pub after: Option<SessionId>,
    /// At most so many.
    pub limit: u16,
}

/// A part of the list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The sessions, newest first.
    pub sessions: Vec<SessionRecord>,
    /// What to pass as `after` for the next page; `None` on the last.
    pub next: Option<SessionId>,
}

/// The list, of everybody or of one actor: two texts, so that each has a plan of its own.
macro_rules! list_sql {
    ($whose:literal) => {
        concat!(
            "-- sessions::list\n    SELECT ",
            session_columns!(),
            " FROM sessions s JOIN targets t ON t.id = s.target_id JOIN actors a ON a.id = s.actor_id
              WHERE s.tenant_id = $1 AND ",
            $whose,
            " AND ($3::text IS NULL OR session_status(s) = $3) AND ($4::text IS NULL OR t.name = $4)
              AND (NOT $5 OR s.ended_at IS NULL) AND ($6::uuid IS NULL OR s.id < $6)
              ORDER BY s.id DESC LIMIT $7"
        )
    };
}
const LIST_ALL: &str = list_sql!("$2::uuid IS NULL");
const LIST_OWN: &str = list_sql!("s.actor_id = $2");

/// One page of the sessions that match.
///
/// # Errors
/// The ledger's own trouble.
pub async fn list(ledger: &Ledger, filter: &ListFilter) -> Result<Page, StoreError> {
    let status = filter.status.map(SessionStatus::as_str);
    let target = filter.target.as_ref().map(TargetName::as_str);
    let after = filter.after.map(|id| id.uuid());
    // One more than asked for tells whether there is a next page.
    let limit = i64::from(filter.limit) + 1;
    let params: [&(dyn ToSql + Sync); 7] =
        [&Ledger::tenant().uuid(), &filter.viewer.param(), &status, &target, &filter.live, &after, &limit];
    let sql = match filter.viewer {
        Viewer::All => LIST_ALL,
        Viewer::Actor(_) => LIST_OWN,
    };
    let rows = ledger.query(sql, &params).await?;
    let mut sessions = rows.iter().map(SessionRecord::read).collect::<Result<Vec<_>, _>>()?;
    let more = sessions.len() > usize::from(filter.limit);
    sessions.truncate(usize::from(filter.limit));
    let next = if more { sessions.last().map(|session| session.id) } else { None };
    Ok(Page { sessions, next })
}
