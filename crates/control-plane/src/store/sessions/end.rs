//! Ending sessions: the intent first, with its job and its event; the proof comes from agents.
//!
//! Always holds: a session that is wanted absent is never wanted present again, its first reason stands, and its sealed
//! credential is gone. One that no agent ever had in its hands is over at once: nobody can have made a role for it.

use gk_shared::audit::AuditAction;
use gk_shared::ids::{JobId, SessionId, TargetId};
use gk_shared::session::EndReason;
use gk_shared::wire::session::SessionFailure;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::jobs::dispatch::Offer;
use crate::store::jobs::{LEASE, agent_works, lane_of_end, offered};
use crate::store::row::Reader;
use crate::store::tx::{Param, borrowed, params};
use crate::store::{AuditedTx, Event, Lane, Ledger, Origin, StoreError};
use crate::wakeups::Wake;

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
pub(super) const WANT_ABSENT: &str = concat!(
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
            end_note = CASE WHEN $7 THEN $11 END,
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
    let mut tx = ledger.begin(Lane::Ending, origin.clone()).await?;
    let (ended, events) = want_absent_if(&mut tx, ids, why, (guard, Log::Now)).await?;
    let Some(recorded) = tx.record_all(events) else { return Ok(0) };
    match recorded.commit().await {
        Ok(()) => Ok(ended),
        Err(StoreError::AuditUnavailable(error)) => {
            tracing::error!(%error, sessions = ids.len(), "the audit log cannot be written; sessions end all the same");
            end_unlogged(ledger, origin, ids, (why, guard)).await
        }
        Err(error) => Err(error),
    }
}

/// Wants these sessions gone while the log cannot be written: their events follow.
pub(super) async fn end_unlogged(
    ledger: &Ledger,
    origin: &Origin,
    ids: &[SessionId],
    (why, guard): (&Why, Guard),
) -> Result<usize, StoreError> {
    let mut tx = ledger.begin(Lane::Ending, origin.clone()).await?;
    let (ended, _) = want_absent_if(&mut tx, ids, why, (guard, Log::Later)).await?;
    tx.commit_unlogged_end().await.map(|()| ended)
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
    let jobs = ids.iter().map(|_| tx.fresh()).collect();
    let rows = tx.query(WANT_ABSENT, &borrowed(&absent(ids, why, (guard, log), (jobs, None)))).await?;
    told(tx, &rows, why)
}

/// The parameters of [`WANT_ABSENT`]: these sessions with their jobs, the first of which goes to the agent of the offer.
pub(super) fn absent(
    ids: &[SessionId],
    why: &Why,
    (guard, log): (Guard, Log),
    (jobs, offer): (Vec<JobId>, Option<&Offer>),
) -> Vec<Param> {
    params![
        ids.iter().map(SessionId::uuid).collect::<Vec<Uuid>>(),
        why.reason.as_str(),
        why.by.clone(),
        why.error.as_ref().map(|error| serde_json::json!(error)),
        jobs.iter().map(JobId::uuid).collect::<Vec<Uuid>>(),
        guard.as_str(),
        log == Log::Later,
        offer.map(|offer| offer.agent().uuid()),
        offer.map(|offer| offer.token().to_owned()),
        LEASE.as_secs_f64(),
        why.note.clone(),
    ]
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

/// The events of the wish to end a session, which may be over with it.
pub(super) fn ending(id: SessionId, over: bool, correlation: &str, (why, origin): (&Why, &Origin)) -> Vec<Event> {
    let mut event = wish(id, why);
    if origin.is_system() {
        event = event.because_of(correlation);
    }
    if over { vec![event, never_minted(id, correlation)] } else { vec![event] }
}

/// The event of the wish to end a session.
pub(in crate::store) fn wish(id: SessionId, why: &Why) -> Event {
    let action = match why.reason {
        EndReason::Failed => AuditAction::SessionFailed,
        EndReason::Revoked | EndReason::Expired | EndReason::Denied | EndReason::Cancelled => {
            AuditAction::SessionEnding
        }
    };
    Event::new(action, id)
        .fact("reason", why.reason)
        .fact_opt("note", why.note.as_ref())
        .fact_opt("code", why.error.as_ref().map(|error| &error.code))
        .fact_opt("message", why.error.as_ref().map(|error| &error.message))
}

/// The event of a session that was over with that wish: no agent ever had it in hand.
pub(in crate::store) fn never_minted(id: SessionId, correlation: &str) -> Event {
    Event::new(AuditAction::SessionCleaned, id).fact("minted", "never").because_of(correlation)
}
