//! Carrying out a verdict. What changes a session is committed with its event; what only moves the job is not an event.

use std::time::Duration;

use gk_shared::audit::AuditAction;
use gk_shared::problem::ErrorCode;
use gk_shared::session::EndReason;
use gk_shared::wire::session::SessionFailure;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use super::complete::{Completion, Locked, Timing};
use super::verdict::Verdict;
use crate::store::random::jittered;
use crate::store::row::Reader;
use crate::store::sessions::end::{Why, want_absent};
use crate::store::sessions::record::session_columns;
use crate::store::sessions::{SessionRecord, read_event};
use crate::store::tx::params;
use crate::store::{AuditedTx, Event, Ledger, Recorded, StoreError};
use crate::wakeups::Wake;

/// An end that was tried so often goes to the lane of those that keep failing.
const PATIENCE: i32 = 3;

pub(super) async fn apply(
    ledger: &Ledger,
    mut tx: AuditedTx,
    job: &Locked,
    verdict: Verdict,
) -> Result<Completion, StoreError> {
    let timing = timing(job, &verdict);
    // Whoever is served directly is so before the others are woken.
    if !matches!(verdict, Verdict::Ready { .. }) {
        tx.wake(Wake::Session(job.session));
    }
    let recorded = match verdict {
        Verdict::Stale => return Ok(Completion::Stale),
        Verdict::WrongOutcome => return Ok(Completion::WrongOutcome),
        Verdict::Done => {
            tx.rollback().await?;
            return finish(ledger, job).await;
        }
        Verdict::Again { error, retry_in } => {
            tx.rollback().await?;
            return again(ledger, job, error, retry_in).await;
        }
        Verdict::Ready { expires_at, sealed } => {
            ready(ledger, tx, job, (expires_at, sealed)).await?;
            return Ok(Completion::Taken(timing));
        }
        Verdict::Extended { expires_at } => extended(tx, job, expires_at).await?,
        Verdict::NotExtended(error) => not_extended(tx, job, &error).await?,
        Verdict::Cut { dropped, blocked, retry_in } => {
            let retry_in = jittered(ledger.randomness(), retry_in);
            cut(tx, job, (dropped, blocked), retry_in)
        }
        Verdict::Failed(error) => failed(tx, job, error).await?,
        Verdict::Refused(code) => {
            refused(tx, job, code).await?.commit().await?;
            return Ok(Completion::Refused(code));
        }
    };
    recorded.commit().await?;
    Ok(Completion::Taken(timing))
}

fn timing(job: &Locked, verdict: &Verdict) -> Timing {
    let ready = matches!(verdict, Verdict::Ready { .. });
    let cut = matches!(verdict, Verdict::Cut { .. }) && !job.held.cut;
    Timing { create_to_ready: ready.then_some(job.age), end_to_cut: job.ending_for.filter(|_| cut) }
}

/// The CTE by which every statement below closes its job in the same flight.
macro_rules! done {
    () => {
        "WITH done AS (UPDATE jobs SET state = 'done', finished_at = now(), result_digest = $2 WHERE id = $1) "
    };
}

const READY: &str = concat!(
    "-- jobs::complete_ready\n",
    done!(),
    "UPDATE sessions s SET observed = 'armed', observed_generation = $4, observed_at = now(), backends = 0,
        ready_at = coalesce(s.ready_at, now()), sealed_credential = $5, expires_at = $6,
        credential_read_at = CASE WHEN $7 THEN now() ELSE s.credential_read_at END
     FROM targets t, actors a WHERE s.id = $3 AND t.id = s.target_id AND a.id = s.actor_id RETURNING ",
    session_columns!()
);

/// Clocks may differ by so much before an end that an agent reports is held to be later than granted.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// Never later than granted, whatever the agent says. Who waits for it in this process is served, which is an event too.
async fn ready(
    ledger: &Ledger,
    mut tx: AuditedTx,
    job: &Locked,
    (expires_at, sealed): (Timestamp, String),
) -> Result<(), StoreError> {
    let taker = ledger.handoff().take(job.session).filter(|_| job.unread);
    let generation = job.held.lease_generation;
    let end = as_stored(expires_at.min(latest_end(tx.at(), job.ttl_seconds)));
    let digest = job.digest.to_vec();
    let (id, session) = (job.job.uuid(), job.session.uuid());
    tx.last(READY, params![id, digest, session, generation, sealed, end, taker.is_some()]);
    let event = Event::new(AuditAction::SessionCreated, job.session)
        .fact("target", &job.target_name)
        .fact("pack_version", &job.pack_version)
        .fact("database_user", &job.held.role)
        .fact("expires_at", end)
        .fact("generation", generation);
    let mut recorded = tx.record(event.because_of(&job.correlation));
    if let Some(taker) = &taker {
        recorded = recorded.and_of(read_event(job.session, &job.fingerprint), &taker.origin);
    }
    let rows = recorded.commit_returning().await?;
    if let (Some(taker), Some(row)) = (taker, rows.first()) {
        taker.give(SessionRecord::read(row)?);
    }
    ledger.wakeups().wake(Wake::Session(job.session));
    Ok(())
}

/// The ledger keeps microseconds: the event says what the row says.
fn as_stored(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

fn latest_end(now: Timestamp, ttl_seconds: i32) -> Timestamp {
    let granted = Duration::from_secs(u64::try_from(ttl_seconds).unwrap_or_default());
    now.checked_add(granted + CLOCK_SLACK).unwrap_or(Timestamp::MAX)
}

/// Never earlier than it was promised before, and never later than granted when it was asked for, whatever the agent says.
const EXTENDED: &str = concat!(
    "-- jobs::complete_extended\n",
    done!(),
    "UPDATE sessions
        SET expires_at = greatest(expires_at, least($4, (SELECT created_at FROM jobs WHERE id = $1)
            + make_interval(secs => $5::float8 + 2)))
     WHERE id = $3 RETURNING expires_at"
);

async fn extended(tx: AuditedTx, job: &Locked, expires_at: Timestamp) -> Result<Recorded, StoreError> {
    let ttl = f64::from(job.ttl_seconds);
    let params: [&(dyn ToSql + Sync); 5] =
        [&job.job.uuid(), &job.digest.as_slice(), &job.session.uuid(), &expires_at, &ttl];
    let row = tx.one(EXTENDED, &params).await?;
    let end: Timestamp = Reader::new(&row, "session").get("expires_at")?;
    let event = Event::new(AuditAction::SessionExtended, job.session).fact("step", "done").fact("expires_at", end);
    Ok(tx.record(event.because_of(&job.correlation)))
}

const DONE: &str = concat!("-- jobs::complete_done\n", done!(), "SELECT 1");

async fn close(tx: &AuditedTx, job: &Locked) -> Result<(), StoreError> {
    tx.query(DONE, &[&job.job.uuid(), &job.digest.as_slice()]).await.map(drop)
}

async fn not_extended(tx: AuditedTx, job: &Locked, error: &SessionFailure) -> Result<Recorded, StoreError> {
    close(&tx, job).await?;
    let event = Event::new(AuditAction::SessionExtended, job.session)
        .failed()
        .fact("step", "refused")
        .fact("job", job.job)
        .fact("code", &error.code)
        .fact("message", &error.message);
    Ok(tx.record(event.because_of(&job.correlation)))
}

const CUT: &str = "-- jobs::complete_cut
    WITH j AS (
        UPDATE jobs SET state = CASE WHEN $4 THEN 'done' ELSE 'queued' END, result_digest = $2,
            finished_at = CASE WHEN $4 THEN now() END, lane = CASE WHEN $4 THEN lane ELSE 2 END,
            run_at = now() + make_interval(secs => $6)
        WHERE id = $1
    )
    UPDATE sessions SET cut_at = coalesce(cut_at, now()), backends = 0, observed_at = now(), blocked = $5,
        observed = CASE WHEN $4 THEN 'absent' ELSE 'disarmed' END, ended_at = CASE WHEN $4 THEN now() END,
        error = CASE WHEN end_reason = 'failed' THEN error END
    WHERE id = $3";

fn cut(mut tx: AuditedTx, job: &Locked, (dropped, blocked): (bool, Option<String>), retry_in: Duration) -> Recorded {
    let (id, digest, session) = (job.job.uuid(), job.digest.to_vec(), job.session.uuid());
    tx.last(CUT, params![id, digest, session, dropped, blocked.clone(), retry_in.as_secs_f64()]);
    let event = |action| Event::new(action, job.session).because_of(&job.correlation);
    let mut events = Vec::new();
    if !job.held.cut {
        events.push(event(AuditAction::SessionCut).fact("target", &job.target_name));
    }
    if dropped {
        events.push(event(AuditAction::SessionCleaned).fact("database_user", &job.held.role));
    } else if !job.held.cut || blocked.is_some() {
        events.extend(blocked.map(|why| event(AuditAction::SessionQuarantined).fact("blocked", why)));
    } else {
        events.push(event(AuditAction::SessionCut).fact("blocked", "no longer"));
    }
    tx.record_all(events).expect("one of the three branches gave an event, or the cut before them did")
}

async fn failed(mut tx: AuditedTx, job: &Locked, error: SessionFailure) -> Result<Recorded, StoreError> {
    close(&tx, job).await?;
    let by = tx.origin().name().to_owned();
    let why = Why { reason: EndReason::Failed, by, error: Some(error), note: None };
    let events = want_absent(&mut tx, &[job.session], &why).await?;
    Ok(tx.record_all(events).expect("the locked session is wanted, so wanting it absent is an event"))
}

async fn refused(tx: AuditedTx, job: &Locked, code: ErrorCode) -> Result<Recorded, StoreError> {
    let error =
        SessionFailure { code: code.as_str().into(), message: code.meaning().into(), retryable: code.retryable() };
    let event = Event::new(AuditAction::AgentRefused, job.session)
        .denied()
        .because_of(&job.correlation)
        .fact("code", code.as_str())
        .fact("agent", tx.origin().name());
    Ok(failed(tx, job, error).await?.and(event))
}

const FINISH: &str = "-- jobs::finish
    UPDATE jobs SET state = 'done', finished_at = now(), result_digest = $2
    WHERE id = $1 AND state = 'leased' AND lease_generation = $3 AND attempt = $4 RETURNING id";

async fn finish(ledger: &Ledger, job: &Locked) -> Result<Completion, StoreError> {
    let params: [&(dyn ToSql + Sync); 4] =
        [&job.job.uuid(), &job.digest.as_slice(), &job.held.lease_generation, &job.held.attempt];
    let rows = ledger.query(FINISH, &params).await?;
    Ok(if rows.is_empty() { Completion::Stale } else { Completion::Taken(Timing::default()) })
}

/// An attempt counts each lease, so it fences like the token does.
const AGAIN: &str = "-- jobs::again
    WITH j AS (
        UPDATE jobs SET state = 'queued', result_digest = $2, run_at = now() + make_interval(secs => $3),
            lane = CASE WHEN kind = 'revoke' AND attempt >= $6 THEN 2 ELSE lane END
        WHERE id = $1 AND state = 'leased' AND lease_generation = $4 AND attempt = $5
        RETURNING session_id
    )
    UPDATE sessions s SET error = coalesce($7, error) FROM j WHERE s.id = j.session_id RETURNING s.id";

async fn again(
    ledger: &Ledger,
    job: &Locked,
    error: Option<SessionFailure>,
    retry_in: Duration,
) -> Result<Completion, StoreError> {
    let pause = jittered(ledger.randomness(), retry_in).as_secs_f64();
    let error = error.map(|error| serde_json::json!(error));
    let params: [&(dyn ToSql + Sync); 7] = [
        &job.job.uuid(),
        &job.digest.as_slice(),
        &pause,
        &job.held.lease_generation,
        &job.held.attempt,
        &PATIENCE,
        &error,
    ];
    let rows = ledger.query(AGAIN, &params).await?;
    ledger.wakeups().wake(Wake::Session(job.session));
    Ok(if rows.is_empty() { Completion::Stale } else { Completion::Taken(Timing::default()) })
}
