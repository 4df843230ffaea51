//! Carrying out what an observation asks for. Changes of intent and proof are one transaction with their events; what
//! was merely seen is stored by itself, and only where it differs.

use std::collections::HashSet;

use gk_shared::audit::AuditAction;
use gk_shared::ids::{JobId, SessionId};
use gk_shared::problem::ErrorCode;
use gk_shared::session::EndReason;
use gk_shared::wire::agent::ObservedRole;
use gk_shared::wire::session::SessionFailure;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::reconcile::Step;
use super::{Look, ahead};
use crate::store::event::clean;
use crate::store::recovery::{self, Cause, Evidence};
use crate::store::row::Reader;
use crate::store::sessions::end::{Why, want_absent};
use crate::store::{AuditedTx, Event, Lane, Ledger, Origin, StoreError, cleanup};
use crate::wakeups::Wake;

/// A target's clock that moved by more than this is worth an event.
const JUMP_MS: u64 = 2000;

type Steps = [(SessionId, Step)];

pub(super) async fn apply(ledger: &Ledger, origin: Origin, look: &Look<'_>, steps: &Steps) -> Result<(), StoreError> {
    let new = new_orphans(ledger, look, &pick(steps, |step| step == Step::Orphan)).await?;
    let ahead = ahead(look);
    if steps.iter().any(|(_, step)| changes(*step)) || !new.is_empty() || jumped(look) || !ahead.is_empty() {
        let tx = ledger.begin(Lane::Ending, origin).await?;
        change(tx, look, (steps, &new)).await?;
    }
    note(ledger, look, &pick(steps, |step| step == Step::Note)).await?;
    let hurry = pick(steps, |step| matches!(step, Step::Hurry | Step::Resurrected));
    if !hurry.is_empty() {
        cleanup::hurry(ledger, &hurry).await?;
        ledger.wakeups().wake(Wake::Ends(look.target));
    }
    forget_orphans(ledger, look).await
}

fn changes(step: Step) -> bool {
    match step {
        Step::Resurrected | Step::Lost { .. } | Step::Expired { .. } | Step::Gone => true,
        Step::Nothing | Step::Note | Step::Hurry | Step::Orphan => false,
    }
}

fn jumped(look: &Look<'_>) -> bool {
    look.observation.clock_jump_ms.unsigned_abs() > JUMP_MS
}

fn pick(steps: &Steps, wanted: impl Fn(Step) -> bool) -> Vec<SessionId> {
    steps.iter().filter(|(_, step)| wanted(*step)).map(|(id, _)| *id).collect()
}

async fn change(mut tx: AuditedTx, look: &Look<'_>, (steps, new): (&Steps, &[SessionId])) -> Result<(), StoreError> {
    let mut events = Vec::new();
    let lost = pick(steps, |step| matches!(step, Step::Lost { replaced: false, .. }));
    let replaced = pick(steps, |step| matches!(step, Step::Lost { replaced: true, .. }));
    let expired = pick(steps, |step| matches!(step, Step::Expired { .. }));
    let by = tx.origin().name().to_owned();
    let failed =
        |message: &str| Why { reason: EndReason::Failed, by: by.clone(), error: Some(failure(message)), note: None };
    events.extend(lose(&mut tx, &lost, &failed("the role was gone or disarmed though nobody asked for it")).await?);
    events.extend(lose(&mut tx, &replaced, &failed("the role was dropped and made again by somebody else")).await?);
    let why = Why { reason: EndReason::Expired, by, error: None, note: None };
    events.extend(want_absent(&mut tx, &expired, &why).await?);
    let gone = pick(steps, |step| match step {
        Step::Gone => true,
        Step::Lost { dropped, .. } | Step::Expired { dropped } => dropped,
        Step::Nothing | Step::Note | Step::Hurry | Step::Resurrected | Step::Orphan => false,
    });
    events.extend(end(&mut tx, &gone).await?);
    events.extend(reopen(&mut tx, look, &pick(steps, |step| step == Step::Resurrected)).await?);
    events.extend(orphans(&tx, look, new).await?);
    events.extend(behind(&tx, look, new).await?);
    if jumped(look) {
        let jump = look.observation.clock_jump_ms;
        events.push(Event::new(AuditAction::ClockJump, &look.observation.target).fact("milliseconds", jump));
    }
    match tx.record_all(events) {
        Some(recorded) => recorded.commit().await,
        None => Ok(()),
    }
}

const CATCH_UP: &str = "-- observe::catch_up
    UPDATE sessions s SET generation = r.generation FROM unnest($1::uuid[], $2::bigint[]) AS r (id, generation)
    WHERE s.id = r.id AND s.generation < r.generation";

/// What shows that the ledger went back: the target is further than it, or knows sessions that it does not. From there on
/// its generations go past those of the target, so that nothing it wants is taken for late there.
async fn behind(tx: &AuditedTx, look: &Look<'_>, new: &[SessionId]) -> Result<Vec<Event>, StoreError> {
    let (target, mut found) = (&look.observation.target, Vec::new());
    let ahead = ahead(look);
    if let Some((first, generation)) = ahead.first() {
        let (ids, generations): (Vec<Uuid>, Vec<i64>) = ahead.iter().map(|(id, at)| (id.uuid(), *at)).unzip();
        tx.query(CATCH_UP, &[&ids, &generations]).await?;
        let detail = format!(
            "{} session(s) are further on target {target} than in the ledger, such as {first}, at generation {generation} there",
            ahead.len()
        );
        found.push(Evidence { cause: Cause::GenerationAhead, detail, head: None });
    }
    // Only a control plane gives generations: a role that somebody else made is an orphan and nothing more.
    let minted =
        |id: &&SessionId| look.observation.roles.iter().any(|role| role.session_id == **id && role.generation > 0);
    let unknown: Vec<&SessionId> = new.iter().filter(minted).collect();
    if let Some(first) = unknown.first() {
        let detail =
            format!("target {target} knows {} session(s) that the ledger does not, such as {first}", unknown.len());
        found.push(Evidence { cause: Cause::UnknownSession, detail, head: None });
    }
    let mut events = Vec::new();
    for evidence in &found {
        if recovery::note(tx, evidence).await? {
            tracing::error!(detail = evidence.detail, "the ledger went back: nothing is granted, sessions still end");
            events.push(recovery::behind(evidence));
        }
    }
    Ok(events)
}

fn failure(message: &str) -> SessionFailure {
    let code = ErrorCode::RoleReplaced;
    SessionFailure { code: code.as_str().to_owned(), message: message.to_owned(), retryable: true }
}

async fn lose(tx: &mut AuditedTx, ids: &[SessionId], why: &Why) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    for id in ids {
        let ending = want_absent(tx, &[*id], why).await?;
        // Somebody else may have ended it since the look: then there is nothing to tell.
        if !ending.is_empty() {
            events.push(Event::new(AuditAction::SessionLost, id).failed());
        }
        events.extend(ending);
    }
    Ok(events)
}

const END: &str = "-- observe::end
    UPDATE sessions SET cut_at = coalesce(cut_at, now()), ended_at = now(), observed = 'absent', observed_at = now(),
        backends = 0, blocked = NULL
    WHERE id = ANY ($1) AND desired = 'absent' AND ended_at IS NULL
    RETURNING id, correlation_id, cut_at = now() AS cut";

/// The role was seen to be gone, by whoever removed it.
async fn end(tx: &mut AuditedTx, ids: &[SessionId]) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    if ids.is_empty() {
        return Ok(events);
    }
    for row in tx.query(END, &[&uuids(ids)]).await? {
        let row = Reader::new(&row, "session");
        let id = row.id("id", SessionId::from_uuid)?;
        let correlation: &str = row.get("correlation_id")?;
        tx.wake(Wake::Session(id));
        let event = |action| Event::new(action, id).because_of(correlation).fact("seen", "on the target");
        if row.get("cut")? {
            events.push(event(AuditAction::SessionCut));
        }
        events.push(event(AuditAction::SessionCleaned));
    }
    Ok(events)
}

/// The generation rises, so that each resurrection is told once, however often it is seen.
const REOPEN: &str = "-- observe::reopen
    WITH s AS (
        UPDATE sessions s SET generation = s.generation + 1, resurrected_generation = s.generation + 1, ended_at = NULL,
            cut_at = NULL, blocked = NULL, observed = CASE WHEN r.armed THEN 'armed' ELSE 'disarmed' END,
            observed_generation = r.generation, observed_at = now(), backends = r.backends
        FROM unnest($1::uuid[], $2::boolean[], $3::bigint[], $4::bigint[]) AS r (id, armed, backends, generation)
        WHERE s.id = r.id AND s.desired = 'absent' AND s.cut_at IS NOT NULL
        RETURNING s.id, s.tenant_id, s.target_id, s.correlation_id, s.generation
    ), j AS (
        INSERT INTO jobs (id, tenant_id, session_id, target_id, kind, lane, correlation_id)
        SELECT n.job, s.tenant_id, s.id, s.target_id, 'revoke', 0, s.correlation_id
        FROM s JOIN unnest($1::uuid[], $5::uuid[]) AS n (id, job) ON n.id = s.id
        ON CONFLICT (session_id, kind) WHERE state IN ('queued', 'leased') DO NOTHING
    )
    SELECT id, correlation_id, generation FROM s";

async fn reopen(tx: &mut AuditedTx, look: &Look<'_>, ids: &[SessionId]) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    if ids.is_empty() {
        return Ok(events);
    }
    let seen = Seen::of(look, ids);
    let jobs: Vec<Uuid> = seen.ids.iter().map(|_| tx.fresh::<JobId>().uuid()).collect();
    let params: [&(dyn ToSql + Sync); 5] = [&seen.ids, &seen.armed, &seen.backends, &seen.generations, &jobs];
    for row in tx.query(REOPEN, &params).await? {
        let row = Reader::new(&row, "session");
        let id = row.id("id", SessionId::from_uuid)?;
        tx.wake(Wake::Session(id));
        tx.wake(Wake::Ends(look.target));
        let event = Event::new(AuditAction::SessionResurrected, id).because_of(row.get("correlation_id")?);
        events.push(event.fact("generation", row.get::<i64>("generation")?));
    }
    Ok(events)
}

const ORPHANS_AGAIN: &str = "-- observe::orphans_again
    UPDATE orphans o SET armed = r.armed, backends = r.backends, valid_until = r.valid_until, detail = r.detail,
        last_seen_at = now()
    FROM unnest($2::uuid[], $3::boolean[], $4::bigint[], $5::timestamptz[], $6::text[])
        AS r (id, armed, backends, valid_until, detail)
    WHERE o.target_id = $1 AND o.session_id = r.id RETURNING o.session_id";

/// Those among the unexplained roles that were not logged yet; what is stored of the others is brought up to date.
async fn new_orphans(ledger: &Ledger, look: &Look<'_>, ids: &[SessionId]) -> Result<Vec<SessionId>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let seen = Seen::of(look, ids);
    let target = look.target.uuid();
    let params: [&(dyn ToSql + Sync); 6] = [&target, &seen.ids, &seen.armed, &seen.backends, &seen.ends, &seen.details];
    let rows = ledger.query(ORPHANS_AGAIN, &params).await?;
    let again = rows.iter().map(|row| Reader::new(row, "orphan").id("session_id", SessionId::from_uuid));
    let again = again.collect::<Result<HashSet<_>, _>>()?;
    Ok(ids.iter().filter(|id| !again.contains(id)).copied().collect())
}

const ORPHANS: &str = "-- observe::orphans
    INSERT INTO orphans AS o (target_id, session_id, tenant_id, armed, backends, valid_until, detail)
    SELECT $1, r.id, $2, r.armed, r.backends, r.valid_until, r.detail
    FROM unnest($3::uuid[], $4::boolean[], $5::bigint[], $6::timestamptz[], $7::text[])
        AS r (id, armed, backends, valid_until, detail)
    ON CONFLICT (target_id, session_id) DO NOTHING RETURNING session_id, armed, backends";

async fn orphans(tx: &AuditedTx, look: &Look<'_>, ids: &[SessionId]) -> Result<Vec<Event>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let seen = Seen::of(look, ids);
    let (target, tenant) = (look.target.uuid(), Ledger::tenant().uuid());
    let params: [&(dyn ToSql + Sync); 7] =
        [&target, &tenant, &seen.ids, &seen.armed, &seen.backends, &seen.ends, &seen.details];
    let rows = tx.query(ORPHANS, &params).await?;
    let mut events = Vec::new();
    for row in rows.iter().map(|row| Reader::new(row, "orphan")) {
        let id = row.id("session_id", SessionId::from_uuid)?;
        let event = Event::new(AuditAction::OrphanSeen, id)
            .fact("target", &look.observation.target)
            .fact("database_user", id.role_name())
            .fact("armed", row.get::<bool>("armed")?)
            .fact("backends", row.get::<i64>("backends")?);
        events.push(event);
    }
    Ok(events)
}

const FORGET: &str = "-- observe::forget_orphans
    DELETE FROM orphans WHERE target_id = $1 AND session_id <> ALL ($2)";

/// What is no longer seen is no longer there, if all was looked at.
async fn forget_orphans(ledger: &Ledger, look: &Look<'_>) -> Result<(), StoreError> {
    if !look.observation.complete {
        return Ok(());
    }
    let named: Vec<Uuid> = look.observation.roles.iter().map(|role| role.session_id.uuid()).collect();
    let params: [&(dyn ToSql + Sync); 2] = [&look.target.uuid(), &named];
    ledger.query(FORGET, &params).await.map(drop)
}

const NOTE: &str = "-- observe::note
    UPDATE sessions s SET backends = r.backends, observed_generation = r.generation, observed_at = now()
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS r (id, backends, generation)
    WHERE s.id = r.id AND s.desired = 'present' AND s.observed = 'armed'";

async fn note(ledger: &Ledger, look: &Look<'_>, ids: &[SessionId]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let seen = Seen::of(look, ids);
    let params: [&(dyn ToSql + Sync); 3] = [&seen.ids, &seen.backends, &seen.generations];
    ledger.query(NOTE, &params).await.map(drop)
}

fn uuids(ids: &[SessionId]) -> Vec<Uuid> {
    ids.iter().map(SessionId::uuid).collect()
}

/// Seen roles as columns.
#[derive(Default)]
struct Seen {
    ids: Vec<Uuid>,
    armed: Vec<bool>,
    backends: Vec<i64>,
    generations: Vec<i64>,
    ends: Vec<Option<jiff::Timestamp>>,
    details: Vec<Option<String>>,
}

impl Seen {
    fn of(look: &Look<'_>, ids: &[SessionId]) -> Self {
        // Each once: a role that is named twice would make the same row change twice.
        let mut wanted: HashSet<SessionId> = ids.iter().copied().collect();
        let mut seen = Self::default();
        look.observation.roles.iter().filter(|role| wanted.remove(&role.session_id)).for_each(|role| seen.push(role));
        seen
    }

    fn push(&mut self, role: &ObservedRole) {
        self.ids.push(role.session_id.uuid());
        self.armed.push(role.armed);
        self.backends.push(role.backends.max(0));
        self.generations.push(role.generation);
        self.ends.push(role.valid_until);
        self.details.push(role.detail.as_deref().map(clean));
    }
}
