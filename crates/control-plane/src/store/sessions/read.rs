//! Reading one session, at once or when it settles.

use std::time::Duration;

use gk_shared::ids::SessionId;
use gk_shared::session::SessionStatus;
use tokio::time::Instant;

use super::record::{SessionRecord, Viewer, session_columns};
use crate::store::{Ledger, StoreError};
use crate::wakeups::Wake;

const FIND: &str = concat!(
    "-- sessions::find
    SELECT ",
    session_columns!(),
    " FROM sessions s JOIN targets t ON t.id = s.target_id JOIN actors a ON a.id = s.actor_id
      WHERE s.id = $1 AND s.tenant_id = $2 AND ($3::uuid IS NULL OR s.actor_id = $3)"
);

/// The session, if there is one that this viewer may see.
///
/// # Errors
/// The ledger's own trouble.
pub async fn find(ledger: &Ledger, id: SessionId, viewer: Viewer) -> Result<Option<SessionRecord>, StoreError> {
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&id.uuid(), &Ledger::tenant().uuid(), &viewer.param()];
    ledger.opt(FIND, &params).await?.map(|row| SessionRecord::read(&row)).transpose()
}

/// The session as soon as `settled` says so of its status, or as it is when `longest` is over.
///
/// # Errors
/// The ledger's own trouble.
pub async fn wait(
    ledger: &Ledger,
    id: SessionId,
    viewer: Viewer,
    longest: Duration,
    settled: impl Fn(SessionStatus) -> bool + Send,
) -> Result<Option<SessionRecord>, StoreError> {
    let mut listener = ledger.wakeups().listen(&[Wake::Session(id)]);
    let until = Instant::now() + longest;
    loop {
        let found = find(ledger, id, viewer).await?;
        let left = until.saturating_duration_since(Instant::now());
        match &found {
            Some(session) if !settled(session.status()) && !left.is_zero() => listener.wait(left).await,
            Some(_) | None => return Ok(found),
        }
    }
}
