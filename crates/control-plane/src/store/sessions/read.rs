//! Reading one session, at once or when it settles.

use std::time::Duration;

use gk_shared::ids::SessionId;
use gk_shared::session::SessionStatus;
use tokio::time::Instant;

use super::handoff::Seat;
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

/// [`wait`] for the one whose request has just made the session, which is given as it was made: served by the report
/// that makes it ready, if that comes to this process.
///
/// # Errors
/// The ledger's own trouble.
pub async fn wait_seated(
    ledger: &Ledger,
    made: &SessionRecord,
    seat: Seat,
    longest: Duration,
    settled: impl Fn(SessionStatus) -> bool + Send,
) -> Result<Option<SessionRecord>, StoreError> {
    let until = Instant::now() + longest;
    let (mut place, mut woken) = seat.split();
    let looked = async {
        // Nothing can be new before the first wake-up: failures, and reports to other processes, come with one.
        woken.wait(longest).await;
        let left = until.saturating_duration_since(Instant::now());
        wait(ledger, made.id, Viewer::Actor(made.actor_id), left, settled).await
    };
    tokio::select! {
        biased;
        served = place.taken() => Ok(Some(served)),
        found = looked => found,
    }
}
