//! Ending sessions: the intent first, with its job and its event; the proof comes from agents.
//!
//! Always holds: a session that is wanted absent is never wanted present again, its first reason stands, and its sealed
//! credential is gone. One that no agent ever had in its hands is over at once: nobody can have made a role for it.

use gk_shared::audit::AuditAction;
use gk_shared::ids::{JobId, SessionId, TargetId};
use gk_shared::names::TargetName;
use gk_shared::reason::Reason;
use gk_shared::session::{EndReason, Intent};
use gk_shared::wire::job::{Job, RevokeSessionJob};
use gk_shared::wire::session::SessionFailure;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::record::{SessionRecord, Viewer};
use crate::store::jobs::dispatch::Offer;
use crate::store::jobs::{LEASE, agent_works, lane_of_end, offered};
use crate::store::row::Reader;
use crate::store::{AuditedTx, Event, Lane, Ledger, Origin, StoreError};
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

/// Revokes a session. May be repeated.
///
/// # Errors
/// The ledger's own trouble.
pub async fn end(ledger: &Ledger, origin: Origin, wish: &EndRequest) -> Result<EndOutcome, StoreError> {
    let ledger = &ledger.in_lane(Lane::Ending);
    let Some(seen) = super::find(ledger, wish.id, wish.viewer).await? else { return Ok(EndOutcome::NotFound) };
    let mut changed = false;
    if matches!(seen.facts.intent, Intent::Present) {
        let (by, note) = (origin.name().to_owned(), wish.note.as_ref().map(ToString::to_string));
        let why = Why { reason: EndReason::Revoked, by, error: None, note };
        let place = Some((&seen.target, seen.target_id));
        changed = end_now(ledger, &origin, &[wish.id], (&why, Guard::Always, place)).await? > 0;
    }
    match super::find(ledger, wish.id, wish.viewer).await? {
        Some(session) if changed => Ok(EndOutcome::Ending(session)),
        Some(session) => Ok(EndOutcome::Already(session)),
        None => Ok(EndOutcome::NotFound),
    }
}

/// Why sessions are wanted absent.
#[derive(Debug, Clone)]
pub(in crate::store) struct Why {
    pub(in crate::store) reason: EndReason,
    /// Who wants it, as the log says it.
    pub(in crate::store) by: String,
    /// What went wrong, for the requester.
    pub(in crate::store) error: Option<SessionFailure>,
    /// What the caller said about it.
    pub(in crate::store) note: Option<String>,
}

impl Why {
    /// The clock or a scan wants it.
    pub(in crate::store) fn system(reason: EndReason, error: Option<SessionFailure>) -> Self {
        Self { reason, by: "system".to_owned(), error, note: None }
    }
}

/// A condition that has to hold still when the sessions are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Guard {
    /// None: somebody wants it.
    Always,
    /// Its time is up, and was not extended meanwhile.
    Expired,
    /// It is not ready, and was to be by now.
    Late,
}

impl Guard {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Expired => "expired",
            Self::Late => "late",
        }
    }
}

/// Locked in the order of their ids, so that two who end many at once do not wait for each other in a circle.
/// Sessions that were never leased (generation 1) are over with this statement; for the others a job is queued.
const WANT_ABSENT: &str = concat!(
    "-- sessions::want_absent
    WITH due AS (
        SELECT id FROM sessions
        WHERE id = ANY ($1) AND desired = 'present' AND CASE $6
            WHEN 'expired' THEN expires_at <= now()
            WHEN 'late' THEN ready_at IS NULL AND provision_deadline <= now()
            ELSE true END
        ORDER BY id FOR UPDATE
    ), s AS (
        UPDATE sessions SET desired = 'absent', generation = generation + 1, sealed_credential = NULL,
            end_reason = $2, ended_by = $3, end_wanted_at = now(), error = coalesce($4, error), end_unlogged = $7,
            observed = CASE WHEN generation = 1 THEN 'absent' ELSE observed END,
            cut_at = CASE WHEN generation = 1 THEN now() END,
            ended_at = CASE WHEN generation = 1 THEN now() END
        WHERE id IN (SELECT id FROM due) AND desired = 'present'
        RETURNING id, tenant_id, target_id, correlation_id, ended_at, generation, end_reason
    ), lease AS (
        SELECT x.agent_id, x.target_id FROM agent_targets x JOIN agents g ON g.id = x.agent_id
        WHERE x.agent_id = $8 AND ",
    agent_works!(),
    "
    ), j AS (
        INSERT INTO jobs (id, tenant_id, session_id, target_id, kind, lane, correlation_id, state, run_at, attempt, agent_id,
            lease_token, lease_generation)
        SELECT n.id, s.tenant_id, s.id, s.target_id, 'revoke', ",
    lane_of_end!(),
    ", s.correlation_id,
            ",
    offered!("$9", "$10"),
    "
        FROM (SELECT *, row_number() OVER () AS place FROM s WHERE ended_at IS NULL) s
        JOIN unnest($5::uuid[]) WITH ORDINALITY AS n (id, place) USING (place)
        LEFT JOIN lease l ON l.target_id = s.target_id AND s.place = 1
        ON CONFLICT (session_id, kind) WHERE state IN ('queued', 'leased') DO NOTHING
        RETURNING session_id, id, state
    )
    SELECT s.id, s.target_id, s.correlation_id, s.ended_at IS NOT NULL AS over, s.generation, j.id AS leased
    FROM s LEFT JOIN j ON j.session_id = s.id AND j.state = 'leased'"
);

/// Wants these sessions gone, in a transaction of its own; says how many changed. If the log cannot be written, they end
/// all the same, and their events follow.
pub(in crate::store) async fn end_all(
    ledger: &Ledger,
    origin: &Origin,
    ids: &[SessionId],
    (why, guard): (&Why, Guard),
) -> Result<usize, StoreError> {
    end_now(ledger, origin, ids, (why, guard, None)).await
}

/// The same; at a place that is known, the job of the first is leased to the agent that waits there for one.
async fn end_now(
    ledger: &Ledger,
    origin: &Origin,
    ids: &[SessionId],
    (why, guard, place): (&Why, Guard, Option<(&TargetName, TargetId)>),
) -> Result<usize, StoreError> {
    let mut tx = ledger.begin(Lane::Ending, origin.clone()).await?;
    let offer = place.and_then(|place| Offer::to_end(ledger, place, tx.fresh()));
    let rows = want(&mut tx, ids, why, (guard, Log::Now, offer.as_ref())).await?;
    let (ended, events) = told(&mut tx, &rows, why)?;
    let leased = match (rows.first(), place) {
        (Some(row), Some((target, _))) => to_end(row, target, why.reason)?,
        (_, _) => None,
    };
    let Some(recorded) = tx.record_all(events) else {
        offer.into_iter().for_each(Offer::withdraw);
        return Ok(0);
    };
    match recorded.commit().await {
        Ok(()) => {
            match (offer, leased) {
                (Some(offer), Some((job, generation))) => offer.hand_over(job, generation),
                (not_taken, _) => not_taken.into_iter().for_each(Offer::withdraw),
            }
            Ok(ended)
        }
        Err(StoreError::AuditUnavailable(error)) => {
            offer.into_iter().for_each(Offer::withdraw);
            tracing::error!(%error, sessions = ids.len(), "the audit log cannot be written; sessions end all the same");
            let mut tx = ledger.begin(Lane::Ending, origin.clone()).await?;
            let (ended, _) = want_absent_if(&mut tx, ids, why, (guard, Log::Later)).await?;
            tx.commit_unlogged_end().await.map(|()| ended)
        }
        Err(error) => Err(error),
    }
}

/// Whether the event of an end is written with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Log {
    Now,
    Later,
}

/// Wants these sessions gone, as far as they are wanted at all. The events tell of those that changed.
pub(in crate::store) async fn want_absent(
    tx: &mut AuditedTx,
    ids: &[SessionId],
    why: &Why,
) -> Result<Vec<Event>, StoreError> {
    want_absent_if(tx, ids, why, (Guard::Always, Log::Now)).await.map(|(_, events)| events)
}

/// The same under a condition; also says how many sessions changed.
pub(in crate::store) async fn want_absent_if(
    tx: &mut AuditedTx,
    ids: &[SessionId],
    why: &Why,
    (guard, log): (Guard, Log),
) -> Result<(usize, Vec<Event>), StoreError> {
    let rows = want(tx, ids, why, (guard, log, None)).await?;
    told(tx, &rows, why)
}

async fn want(
    tx: &mut AuditedTx,
    ids: &[SessionId],
    why: &Why,
    (guard, log, offer): (Guard, Log, Option<&Offer>),
) -> Result<Vec<Row>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(SessionId::uuid).collect();
    let mut jobs: Vec<Uuid> = ids.iter().map(|_| tx.fresh::<JobId>().uuid()).collect();
    if let (Some(first), Some(offer)) = (jobs.first_mut(), offer) {
        *first = offer.job().uuid();
    }
    let error = why.error.as_ref().map(|error| serde_json::json!(error));
    let (reason, guard, later) = (why.reason.as_str(), guard.as_str(), log == Log::Later);
    let (agent, token) = (offer.map(|offer| offer.agent().uuid()), offer.map(Offer::token));
    let lease = LEASE.as_secs_f64();
    let params: [&(dyn ToSql + Sync); 10] =
        [&ids, &reason, &why.by, &error, &jobs, &guard, &later, &agent, &token, &lease];
    tx.query(WANT_ABSENT, &params).await
}

/// Who is to be woken once it is committed, and the events that tell of those that changed.
fn told(tx: &mut AuditedTx, rows: &[Row], why: &Why) -> Result<(usize, Vec<Event>), StoreError> {
    let mut events = Vec::new();
    for row in rows {
        let row = Reader::new(row, "session");
        let id = row.id("id", SessionId::from_uuid)?;
        if row.get::<Option<Uuid>>("leased")?.is_none() {
            tx.wake(Wake::Ends(row.id("target_id", TargetId::from_uuid)?));
        }
        tx.wake(Wake::Session(id));
        events.extend(ending(id, row.get("over")?, row.get("correlation_id")?, (why, tx.origin())));
    }
    Ok((rows.len(), events))
}

/// The job with its generation, if it was leased at once: the agent may have been disabled, or another job be under way.
fn to_end(row: &Row, target: &TargetName, reason: EndReason) -> Result<Option<(Job, i64)>, StoreError> {
    let row = Reader::new(row, "session");
    let Some(id) = row.get::<Option<Uuid>>("leased")? else { return Ok(None) };
    let job = RevokeSessionJob {
        id: JobId::from_uuid(id),
        correlation_id: row.get("correlation_id")?,
        session_id: row.id("id", SessionId::from_uuid)?,
        target: target.clone(),
        reason,
    };
    Ok(Some((Job::RevokeSession(job), row.get("generation")?)))
}

fn ending(id: SessionId, over: bool, correlation: &str, (why, origin): (&Why, &Origin)) -> Vec<Event> {
    let action = match why.reason {
        EndReason::Failed => AuditAction::SessionFailed,
        EndReason::Revoked | EndReason::Expired | EndReason::Denied | EndReason::Cancelled => {
            AuditAction::SessionEnding
        }
    };
    let mut event = Event::new(action, id)
        .fact("reason", why.reason)
        .fact_opt("note", why.note.as_ref())
        .fact_opt("code", why.error.as_ref().map(|error| &error.code))
        .fact_opt("message", why.error.as_ref().map(|error| &error.message));
    if origin.is_system() {
        event = event.because_of(correlation);
    }
    let cleaned = Event::new(AuditAction::SessionCleaned, id).fact("minted", "never").because_of(correlation);
    if over { vec![event, cleaned] } else { vec![event] }
}
