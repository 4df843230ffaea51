//! Somebody ends a session, in two flights: it is locked and looked at, then wanted absent, leased to the agent that waits
//! for one to end, logged and committed.

use gk_shared::ids::{JobId, SessionId};
use gk_shared::reason::Reason;
use gk_shared::session::{EndReason, Intent};
use gk_shared::wire::job::{Job, RevokeSessionJob};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::end::{Guard, Log, WANT_ABSENT, Why, absent, end_unlogged, ending};
use super::record::{SessionRecord, Viewer, session_columns};
use crate::store::jobs::dispatch::Offer;
use crate::store::row::Reader;
use crate::store::{AuditedTx, Lane, Ledger, Origin, StoreError};
use crate::wakeups::Wake;

/// Somebody's wish to end a session.
#[derive(Debug, Clone)]
pub struct EndRequest {
    /// Which.
    pub id: SessionId,
    /// Whose sessions the caller may end.
    pub viewer: Viewer,
    /// Why, for the log.
    pub note: Option<Reason>,
}

/// The answer to such a wish.
#[derive(Debug, Clone)]
pub enum EndOutcome {
    /// It is ending now.
    Ending(SessionRecord),
    /// It was over or ending before; the first reason stands.
    Already(SessionRecord),
    /// There is none, or the caller may not see it.
    NotFound,
}

const LOOK: &str = concat!(
    "-- sessions::look_to_end
    SELECT ",
    session_columns!(),
    " FROM sessions s JOIN targets t ON t.id = s.target_id JOIN actors a ON a.id = s.actor_id
      WHERE s.id = $1 AND s.tenant_id = $2 AND ($3::uuid IS NULL OR s.actor_id = $3) FOR UPDATE OF s"
);

/// Revokes a session. May be repeated.
///
/// # Errors
/// The ledger's own trouble.
pub async fn end(ledger: &Ledger, origin: Origin, wish: &EndRequest) -> Result<EndOutcome, StoreError> {
    let ledger = &ledger.in_lane(Lane::Ending);
    let params: [&(dyn ToSql + Sync); 3] = [&wish.id.uuid(), &Ledger::tenant().uuid(), &wish.viewer.param()];
    let (tx, rows) = ledger.begin_with((Lane::Ending, origin.clone()), LOOK, &params).await?;
    let Some(row) = rows.first() else { return tx.rollback().await.map(|()| EndOutcome::NotFound) };
    let (seen, generation) = (SessionRecord::read(row)?, Reader::new(row, "session").get("generation")?);
    if !matches!(seen.facts.intent, Intent::Present) {
        return tx.rollback().await.map(|()| EndOutcome::Already(seen));
    }
    let (by, note) = (origin.name().to_owned(), wish.note.as_ref().map(ToString::to_string));
    let why = Why { reason: EndReason::Revoked, by, error: None, note };
    let changed = match want_now(ledger, tx, (&seen, generation), &why).await {
        Ok(()) => true,
        Err(StoreError::AuditUnavailable(error)) => {
            tracing::error!(%error, session = %wish.id, "the audit log cannot be written; the session ends all the same");
            end_unlogged(ledger, &origin, &[wish.id], (&why, Guard::Always)).await? > 0
        }
        Err(error) => return Err(error),
    };
    match super::find(ledger, wish.id, wish.viewer).await? {
        Some(session) if changed => Ok(EndOutcome::Ending(session)),
        Some(session) => Ok(EndOutcome::Already(session)),
        None => Ok(EndOutcome::NotFound),
    }
}

/// Wants a session gone that this transaction has locked and found wanted.
async fn want_now(
    ledger: &Ledger,
    mut tx: AuditedTx,
    (seen, generation): (&SessionRecord, i64),
    why: &Why,
) -> Result<(), StoreError> {
    // One that was never leased is over with the wish.
    let over = generation == 1;
    let job: JobId = tx.fresh();
    let offer = if over { None } else { Offer::to_end(ledger, (&seen.target, seen.target_id), job) };
    tx.last(WANT_ABSENT, absent(&[seen.id], why, (Guard::Always, Log::Now), (vec![job], offer.as_ref())));
    tx.wake(Wake::Session(seen.id));
    let events = ending(seen.id, over, &seen.correlation_id, (why, tx.origin()));
    let recorded = tx.record_all(events).expect("a wish has an event");
    let rows = match recorded.commit_returning().await {
        Ok(rows) => rows,
        Err(error @ StoreError::AuditUnavailable(_)) => {
            offer.into_iter().for_each(Offer::withdraw);
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let leased = rows.first().map(|row| to_end(row, seen, why.reason)).transpose()?.flatten();
    match (offer, leased) {
        (Some(offer), Some((job, generation))) => offer.hand_over(job, generation),
        (not_taken, _) => {
            not_taken.into_iter().for_each(Offer::withdraw);
            ledger.wakeups().wake(Wake::Ends(seen.target_id));
        }
    }
    Ok(())
}

/// The job with its generation, if it was leased at once: the agent may have been disabled, or another job be under way.
fn to_end(row: &Row, seen: &SessionRecord, reason: EndReason) -> Result<Option<(Job, i64)>, StoreError> {
    let row = Reader::new(row, "session");
    let Some(id) = row.get::<Option<Uuid>>("leased")? else { return Ok(None) };
    let job = RevokeSessionJob {
        id: JobId::from_uuid(id),
        correlation_id: seen.correlation_id.clone(),
        session_id: seen.id,
        target: seen.target.clone(),
        reason,
    };
    Ok(Some((Job::RevokeSession(job), row.get("generation")?)))
}
