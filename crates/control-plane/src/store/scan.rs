//! What the clocks call: sessions whose time is over, sessions that lost their job, rows that nobody needs any more.
//!
//! Level, not edge: each pass looks at what is, so nothing depends on a timer, a wake-up or the jobs table having
//! survived. Every look is by a small partial index and has a limit.

use std::time::Duration;

use gk_shared::ids::{JobId, SessionId, TargetId};
use gk_shared::problem::ErrorCode;
use gk_shared::session::EndReason;
use gk_shared::wire::session::SessionFailure;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::jobs::lane_of_end;
use super::row::Reader;
use super::sessions::end::{self, Guard, Why};
use super::{Event, Lane, Ledger, Origin, StoreError};
use crate::wakeups::Wake;

/// Sessions of one pass; a full one is followed by the next at once.
const BATCH: i64 = 200;

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Sessions whose time was up.
    pub expired: usize,
    /// Sessions that were not ready in time.
    pub timed_out: usize,
    /// Sessions that got the job they lacked.
    pub requeued: usize,
    /// Whether there is more of it right now.
    pub more: bool,
}

const EXPIRED: &str = "-- scan::expired
    SELECT id FROM sessions WHERE desired = 'present' AND expires_at <= now() ORDER BY expires_at LIMIT $1";
const LATE: &str = "-- scan::late
    SELECT id FROM sessions WHERE desired = 'present' AND ready_at IS NULL AND provision_deadline <= now()
    ORDER BY provision_deadline LIMIT $1";

/// One pass over everything that time changes.
///
/// # Errors
/// The ledger's own trouble.
pub async fn run(ledger: &Ledger) -> Result<Scanned, StoreError> {
    let ledger = &ledger.in_lane(Lane::Ending);
    let late = SessionFailure {
        code: ErrorCode::ProvisionTimeout.as_str().to_owned(),
        message: ErrorCode::ProvisionTimeout.meaning().to_owned(),
        retryable: true,
    };
    // What keeps one of them from being done keeps none of the others.
    let expired = end_all(ledger, EXPIRED, (Guard::Expired, Why::system(EndReason::Expired, None))).await;
    let timed_out = end_all(ledger, LATE, (Guard::Late, Why::system(EndReason::Failed, Some(late)))).await;
    let requeued = requeue(ledger).await;
    let (expired, timed_out, requeued) = (expired?, timed_out?, requeued?);
    let full = usize::try_from(BATCH).expect("a batch is small");
    let more = [expired, timed_out, requeued].into_iter().any(|count| count >= full);
    Ok(Scanned { expired, timed_out, requeued, more })
}

async fn end_all(ledger: &Ledger, sql: &str, (guard, why): (Guard, Why)) -> Result<usize, StoreError> {
    let ids = ids(&ledger.query_in(Lane::Ending, sql, &[&BATCH]).await?)?;
    if ids.is_empty() {
        return Ok(0);
    }
    end::end_all(ledger, &Origin::system(), &ids, (&why, guard)).await
}

fn ids(rows: &[Row]) -> Result<Vec<SessionId>, StoreError> {
    rows.iter().map(|row| Reader::new(row, "session").id("id", SessionId::from_uuid)).collect()
}

const LACKING: &str = "-- scan::lacking
    (SELECT s.id FROM sessions s WHERE s.desired = 'absent' AND s.ended_at IS NULL AND NOT EXISTS (
        SELECT FROM jobs j WHERE j.session_id = s.id AND j.kind = 'revoke' AND j.state IN ('queued', 'leased')) LIMIT $1)
    UNION ALL
    (SELECT s.id FROM sessions s WHERE s.desired = 'present' AND s.ready_at IS NULL AND s.provision_deadline > now()
     AND NOT EXISTS (
        SELECT FROM jobs j WHERE j.session_id = s.id AND j.kind = 'create' AND j.state IN ('queued', 'leased')) LIMIT $1)";
const REQUEUE: &str = concat!(
    "-- scan::requeue
    INSERT INTO jobs (id, tenant_id, session_id, target_id, kind, lane, correlation_id)
    SELECT n.job, s.tenant_id, s.id, s.target_id,
        CASE s.desired WHEN 'absent' THEN 'revoke' ELSE 'create' END, CASE s.desired WHEN 'absent' THEN ",
    lane_of_end!(),
    " ELSE 1 END, s.correlation_id
    FROM unnest($1::uuid[], $2::uuid[]) AS n (job, session) JOIN sessions s ON s.id = n.session
    WHERE s.ended_at IS NULL AND (s.desired = 'absent' OR s.ready_at IS NULL)
    ON CONFLICT (session_id, kind) WHERE state IN ('queued', 'leased') DO NOTHING
    RETURNING target_id"
);

async fn requeue(ledger: &Ledger) -> Result<usize, StoreError> {
    let lacking: Vec<Uuid> =
        ids(&ledger.query_in(Lane::Ending, LACKING, &[&BATCH]).await?)?.iter().map(SessionId::uuid).collect();
    if lacking.is_empty() {
        return Ok(0);
    }
    let now = ledger.now().await?;
    let jobs: Vec<Uuid> = lacking.iter().map(|_| ledger.fresh_id::<JobId>(now).uuid()).collect();
    let params: [&(dyn ToSql + Sync); 2] = [&jobs, &lacking];
    let rows = ledger.query_in(Lane::Ending, REQUEUE, &params).await?;
    for row in &rows {
        let target = Reader::new(row, "job").id("target_id", TargetId::from_uuid)?;
        ledger.wakeups().wake(Wake::Ends(target));
        ledger.wakeups().wake(Wake::Beginnings(target));
    }
    Ok(rows.len())
}

const LATE_EVENTS: &str = "-- scan::late_events
    WITH late AS (
        SELECT id, end_note FROM sessions WHERE end_unlogged ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
    )
    UPDATE sessions s SET end_unlogged = false, end_note = NULL FROM late WHERE s.id = late.id
    RETURNING s.id, s.correlation_id, s.end_reason, s.ended_by, s.end_wanted_at, s.error, late.end_note,
        s.ended_at IS NOT DISTINCT FROM s.end_wanted_at AS over";
const ANY_LATE: &str = "-- scan::any_late_events
    SELECT id FROM sessions WHERE end_unlogged LIMIT 1";

/// Writes the events of ends that were carried out while the log could not be written.
///
/// # Errors
/// The ledger's own trouble, above all that the log still cannot be written.
pub async fn log_late(ledger: &Ledger) -> Result<usize, StoreError> {
    if ledger.query(ANY_LATE, &[]).await?.is_empty() {
        return Ok(0);
    }
    let tx = ledger.begin(Lane::Normal, Origin::system()).await?;
    let rows = tx.query(LATE_EVENTS, &[&BATCH]).await?;
    let events = rows.iter().map(late_events).collect::<Result<Vec<_>, _>>()?;
    if let Some(recorded) = tx.record_all(events.into_iter().flatten().collect()) {
        recorded.commit().await?;
    }
    Ok(rows.len())
}

/// The same events as of an end that the log took at once, and that they are late.
fn late_events(row: &Row) -> Result<Vec<Event>, StoreError> {
    let row = Reader::new(row, "session");
    let (id, correlation) = (row.id("id", SessionId::from_uuid)?, row.get::<&str>("correlation_id")?);
    let reason: EndReason = row.parse("end_reason")?;
    // Of a session that failed in the making the error says why; of another it is what its agent met with.
    let error = match reason {
        EndReason::Failed => {
            let value: Option<serde_json::Value> = row.get("error")?;
            value.map(serde_json::from_value).transpose().map_err(|error| row.bad("error", error))?
        }
        EndReason::Revoked | EndReason::Expired | EndReason::Denied | EndReason::Cancelled => None,
    };
    let why = Why { reason, by: row.get("ended_by")?, error, note: row.get("end_note")? };
    let event = end::wish(id, &why)
        .because_of(correlation)
        .fact("late", "the log could not be written when it ended")
        .fact("by", &why.by)
        .fact("wanted_at", row.get::<Timestamp>("end_wanted_at")?);
    Ok(if row.get("over")? { vec![event, end::never_minted(id, correlation)] } else { vec![event] })
}

const NEXT: &str = "-- scan::next_end
    SELECT extract(epoch FROM min(expires_at) - clock_timestamp())::float8 AS seconds
    FROM sessions WHERE desired = 'present' AND expires_at IS NOT NULL";

/// How long it is until the next session has to end; `None` if none does.
///
/// # Errors
/// The ledger's own trouble.
pub async fn next_end(ledger: &Ledger) -> Result<Option<Duration>, StoreError> {
    let rows = ledger.query_in(Lane::Ending, NEXT, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let seconds: Option<f64> = Reader::new(row, "session").get("seconds")?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

/// SKIP LOCKED: whoever works on a job right now decides about it.
const DEAD: &str = "-- scan::dead
    UPDATE jobs SET state = 'dead', finished_at = now() WHERE id IN (
        SELECT j.id FROM jobs j JOIN sessions s ON s.id = j.session_id
        WHERE (j.state = 'queued' OR (j.state = 'leased' AND j.run_at <= now())) AND CASE j.kind
            WHEN 'create' THEN s.desired = 'absent' OR s.ready_at IS NOT NULL
            WHEN 'extend' THEN s.desired = 'absent'
            ELSE s.ended_at IS NOT NULL END
        LIMIT 1000 FOR UPDATE OF j SKIP LOCKED)";
const OLD_JOBS: &str = "-- scan::old_jobs
    DELETE FROM jobs WHERE id IN (
        SELECT id FROM jobs WHERE state IN ('done', 'dead') AND finished_at < now() - interval '1 day'
        ORDER BY finished_at LIMIT 5000 FOR UPDATE SKIP LOCKED)";
const OLD_KEYS: &str = "-- scan::old_keys
    DELETE FROM idempotency_keys WHERE (actor_id, key) IN (
        SELECT actor_id, key FROM idempotency_keys WHERE expires_at <= now()
        ORDER BY expires_at LIMIT 5000 FOR UPDATE SKIP LOCKED)";

/// Housekeeping, once in a while: jobs that were overtaken, jobs and keys that are long over.
///
/// # Errors
/// The ledger's own trouble.
pub async fn tidy(ledger: &Ledger) -> Result<(), StoreError> {
    for sql in [DEAD, OLD_JOBS, OLD_KEYS] {
        ledger.query(sql, &[]).await?;
    }
    Ok(())
}
