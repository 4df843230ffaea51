//! Clean-up: what is left that should be gone, and another try at once.

use std::time::Duration;

use gk_shared::audit::AuditAction;
use gk_shared::ids::{SessionId, TargetId};
use gk_shared::names::TargetName;
use gk_shared::session::SessionStatus;
use gk_shared::wire::cleanup::{CleanupFinding, CleanupReport, CleanupStarted, CleanupTarget, RunCleanup};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::row::Reader;
use super::{Event, Lane, Ledger, Origin, StoreError, scan};
use crate::wakeups::Wake;

/// An observation that is older says nothing about now.
const FRESH_SECONDS: i32 = 15;

/// A target that no agent can look at and that has nothing to look for (a name that was mistyped once) would fail the
/// check for ever; asked for by its name it is told all the same.
const TARGETS: &str = "-- cleanup::targets
    SELECT name, observed_at, coalesce(observed_at > now() - make_interval(secs => $3), false) AS looked,
        coalesce(observed_roles, 0) AS roles
    FROM targets t WHERE tenant_id = $1 AND CASE WHEN $2::text IS NOT NULL THEN name = $2 ELSE
        EXISTS (SELECT FROM agent_targets x JOIN agents g ON g.id = x.agent_id JOIN actors a ON a.id = g.actor_id
            JOIN tokens k ON k.actor_id = a.id WHERE x.target_id = t.id AND a.disabled_at IS NULL
            AND k.revoked_at IS NULL AND k.expires_at > clock_timestamp())
        OR EXISTS (SELECT FROM sessions s WHERE s.target_id = t.id AND s.ended_at IS NULL)
        OR EXISTS (SELECT FROM orphans o WHERE o.target_id = t.id) END
    ORDER BY name";

/// Sessions past their end, and roles that no session explains, that are older than `$3`.
const FINDINGS: &str = "-- cleanup::findings
    SELECT t.name, s.id, session_status(s) AS status, s.cut_at IS NULL AS dangerous,
        extract(epoch FROM clock_timestamp() - least(s.end_wanted_at, s.expires_at))::bigint AS overdue,
        coalesce(s.blocked, s.error ->> 'message', CASE
            WHEN s.desired = 'present' THEN 'its time is up and the control plane has not acted on it'
            WHEN s.cut_at IS NULL THEN 'no agent has reported that it is cut off'
            ELSE 'cut off; no agent has reported that the role is gone' END) AS detail
    FROM sessions s JOIN targets t ON t.id = s.target_id
    WHERE s.tenant_id = $1 AND ($2::text IS NULL OR t.name = $2) AND s.ended_at IS NULL
      AND least(s.end_wanted_at, s.expires_at) <= clock_timestamp() - make_interval(secs => $3)
    UNION ALL
    SELECT t.name, o.session_id, NULL, o.armed OR o.backends > 0,
        greatest(0, extract(epoch FROM clock_timestamp() - coalesce(o.valid_until, o.first_seen_at)))::bigint,
        'no session explains this role; ' || coalesce(o.detail, 'it is removed at its own end, if it has one')
    FROM orphans o JOIN targets t ON t.id = o.target_id
    WHERE o.tenant_id = $1 AND ($2::text IS NULL OR t.name = $2)
      AND o.first_seen_at <= clock_timestamp() - make_interval(secs => $3)
    ORDER BY 4 DESC, 5 DESC, 2 LIMIT 1000";

/// What is left that has been past its end for longer than `max_lag`.
///
/// # Errors
/// The ledger's own trouble.
pub async fn check(
    ledger: &Ledger,
    target: Option<&TargetName>,
    max_lag: Duration,
) -> Result<CleanupReport, StoreError> {
    let (tenant, name) = (Ledger::tenant().uuid(), target.map(TargetName::as_str));
    let targets = ledger.query(TARGETS, &[&tenant, &name, &f64::from(FRESH_SECONDS)]).await?;
    let findings = ledger.query(FINDINGS, &[&tenant, &name, &max_lag.as_secs_f64()]).await?;
    Ok(CleanupReport {
        targets: targets.iter().map(target_row).collect::<Result<_, _>>()?,
        findings: findings.iter().map(finding).collect::<Result<_, _>>()?,
    })
}

fn target_row(row: &Row) -> Result<CleanupTarget, StoreError> {
    let row = Reader::new(row, "target");
    Ok(CleanupTarget {
        target: row.parse("name")?,
        observed_at: row.get("observed_at")?,
        looked: row.get("looked")?,
        roles: row.get("roles")?,
    })
}

fn finding(row: &Row) -> Result<CleanupFinding, StoreError> {
    let row = Reader::new(row, "finding");
    let session_id = row.id("id", SessionId::from_uuid)?;
    Ok(CleanupFinding {
        target: row.parse("name")?,
        role_name: session_id.role_name().to_string(),
        session_id,
        status: row.parse_opt::<SessionStatus>("status")?,
        overdue_seconds: row.get("overdue")?,
        dangerous: row.get("dangerous")?,
        detail: row.get("detail")?,
    })
}

const LEFT: &str = "-- cleanup::left
    SELECT s.id, s.target_id FROM sessions s JOIN targets t ON t.id = s.target_id
    WHERE s.tenant_id = $1 AND ($2::text IS NULL OR t.name = $2)
      AND ((s.desired = 'absent' AND s.ended_at IS NULL) OR (s.desired = 'present' AND s.expires_at <= now()))
    ORDER BY s.id LIMIT 1000";

/// Wants everything that is past its end to be tried again at once.
///
/// # Errors
/// The ledger's own trouble.
pub async fn run(ledger: &Ledger, origin: Origin, ask: &RunCleanup) -> Result<CleanupStarted, StoreError> {
    let name = ask.target.as_ref().map(TargetName::as_str);
    let rows = ledger.query_in(Lane::Ending, LEFT, &[&Ledger::tenant().uuid(), &name]).await?;
    let found = rows.iter().map(left).collect::<Result<Vec<_>, _>>()?;
    let sessions: Vec<SessionId> = found.iter().map(|(session, _)| *session).collect();
    if ask.dry_run {
        return Ok(CleanupStarted { sessions, dry_run: true });
    }
    let tx = ledger.begin(Lane::Ending, origin).await?;
    let event = Event::new(AuditAction::CleanupRun, name.unwrap_or("all")).fact("sessions", sessions.len());
    tx.record(event).commit().await?;
    while scan::run(ledger).await?.more {}
    hurry(ledger, &sessions).await?;
    found.iter().for_each(|(_, target)| ledger.wakeups().wake(Wake::Ends(*target)));
    Ok(CleanupStarted { sessions, dry_run: false })
}

fn left(row: &Row) -> Result<(SessionId, TargetId), StoreError> {
    let row = Reader::new(row, "session");
    Ok((row.id("id", SessionId::from_uuid)?, row.id("target_id", TargetId::from_uuid)?))
}

const HURRY: &str = "-- cleanup::hurry
    UPDATE jobs SET run_at = now() WHERE id IN (
        SELECT id FROM jobs WHERE session_id = ANY ($1) AND kind = 'revoke' AND state = 'queued' AND run_at > now()
        FOR UPDATE SKIP LOCKED)";

/// Ends the pause of jobs that wait for their next try.
pub(super) async fn hurry(ledger: &Ledger, sessions: &[SessionId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = sessions.iter().map(SessionId::uuid).collect();
    let params: [&(dyn ToSql + Sync); 1] = [&ids];
    ledger.query_in(Lane::Ending, HURRY, &params).await.map(drop)
}
