//! A ledger that is older than what was seen outside of it: what says so, and that an admin took it as it is.
//!
//! Always holds: while a finding is open, no job that makes or lengthens a session is handed out, by no process
//! ([`super::jobs::claim`] asks this table itself); sessions still end, and what the ledger does not know is left alone
//! until its own end.

use gk_shared::audit::AuditAction;
use gk_shared::ids::SessionId;
use gk_shared::reason::Reason;
use gk_shared::wire::recovery::{AcceptedRecovery, LedgerMode, Recovery, RecoveryFinding, UnknownSession};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::row::Reader;
use super::{AuditedTx, Event, Lane, Ledger, Origin, StoreError};

/// What is ahead of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A checkpoint of the audit log that somebody keeps.
    AuditRegression,
    /// A session's generation on its target.
    GenerationAhead,
    /// A session that a target knows and the ledger does not.
    UnknownSession,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AuditRegression => "audit_regression",
            Self::GenerationAhead => "generation_ahead",
            Self::UnknownSession => "unknown_session",
        }
    }
}

/// One thing that shows it.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What is ahead.
    pub cause: Cause,
    /// What was found, and who says so.
    pub detail: String,
    /// The checkpoint that the log contradicts, for a [`Cause::AuditRegression`].
    pub head: Option<String>,
}

const NOTE: &str = "-- recovery::note
    INSERT INTO recoveries (tenant_id, cause, detail, head) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id";

/// Stores it with the change at hand; true if nobody knew of it.
pub(super) async fn note(tx: &AuditedTx, evidence: &Evidence) -> Result<bool, StoreError> {
    let cause = evidence.cause.as_str();
    let params: [&(dyn ToSql + Sync); 4] = [&Ledger::tenant().uuid(), &cause, &evidence.detail, &evidence.head];
    Ok(tx.opt(NOTE, &params).await?.is_some())
}

/// The event of a ledger that went back.
pub(super) fn behind(evidence: &Evidence) -> Event {
    Event::new(AuditAction::LedgerBehind, "ledger")
        .fact("cause", evidence.cause.as_str())
        .fact("detail", &evidence.detail)
}

/// Stores by itself what a witness has shown, with the event that tells of it.
///
/// # Errors
/// The ledger's own trouble.
pub async fn regression(ledger: &Ledger, evidence: &Evidence, event: Event) -> Result<(), StoreError> {
    let tx = ledger.begin(Lane::Ending, Origin::system()).await?;
    if note(&tx, evidence).await? { tx.record(event).commit().await } else { tx.rollback().await }
}

const ACCEPTED: &str = "-- recovery::accepted
    SELECT id FROM recoveries WHERE tenant_id = $1 AND head = $2 AND accepted_at IS NOT NULL LIMIT 1";

/// Whether an admin has taken the log as it is although it contradicts this checkpoint.
///
/// # Errors
/// The ledger's own trouble.
pub async fn is_accepted(ledger: &Ledger, head: &str) -> Result<bool, StoreError> {
    Ok(ledger.opt(ACCEPTED, &[&Ledger::tenant().uuid(), &head]).await?.is_some())
}

const OPEN: &str = "-- recovery::open
    SELECT cause, detail, found_at FROM recoveries WHERE tenant_id = $1 AND accepted_at IS NULL ORDER BY id";

/// What is open.
///
/// # Errors
/// The ledger's own trouble.
pub async fn open(ledger: &Ledger) -> Result<Vec<RecoveryFinding>, StoreError> {
    let finding = |row: &Row| {
        let row = Reader::new(row, "recovery");
        Ok(RecoveryFinding { cause: row.get("cause")?, detail: row.get("detail")?, found_at: row.get("found_at")? })
    };
    ledger.query(OPEN, &[&Ledger::tenant().uuid()]).await?.iter().map(finding).collect()
}

const UNKNOWN: &str = "-- recovery::unknown
    SELECT t.name, o.session_id, o.armed, o.backends, o.valid_until, o.condemned_at IS NOT NULL AS condemned
    FROM orphans o JOIN targets t ON t.id = o.target_id WHERE o.tenant_id = $1 ORDER BY t.name, o.session_id LIMIT 1000";

/// What is open, and the sessions on targets that the ledger does not know.
///
/// # Errors
/// The ledger's own trouble.
pub async fn show(ledger: &Ledger) -> Result<Recovery, StoreError> {
    let findings = open(ledger).await?;
    let rows = ledger.query(UNKNOWN, &[&Ledger::tenant().uuid()]).await?;
    let mode = if findings.is_empty() { LedgerMode::Normal } else { LedgerMode::Observe };
    Ok(Recovery { mode, findings, unknown: rows.iter().map(unknown).collect::<Result<_, _>>()? })
}

fn unknown(row: &Row) -> Result<UnknownSession, StoreError> {
    let row = Reader::new(row, "orphan");
    let session_id = row.id("session_id", SessionId::from_uuid)?;
    Ok(UnknownSession {
        target: row.parse("name")?,
        role_name: session_id.role_name().to_string(),
        session_id,
        armed: row.get("armed")?,
        backends: row.get("backends")?,
        valid_until: row.get("valid_until")?,
        ending: row.get("condemned")?,
    })
}

const ACCEPT: &str = "-- recovery::accept
    UPDATE recoveries SET accepted_at = clock_timestamp(), accepted_by = $2, reason = $3
    WHERE tenant_id = $1 AND accepted_at IS NULL RETURNING id";
const CONDEMN: &str = "-- recovery::condemn
    UPDATE orphans SET condemned_at = now() WHERE tenant_id = $1 AND condemned_at IS NULL RETURNING session_id";

/// Takes the ledger as it is: grants go on. Sessions that it does not know run to their own end, unless `end_unknown`.
/// `None` if there is nothing to accept and nothing to end.
///
/// # Errors
/// The ledger's own trouble.
pub async fn accept(
    ledger: &Ledger,
    origin: Origin,
    (reason, end_unknown): (&Reason, bool),
) -> Result<Option<AcceptedRecovery>, StoreError> {
    let by = origin.name().to_owned();
    let tx = ledger.begin(Lane::Ending, origin).await?;
    let tenant = Ledger::tenant().uuid();
    let findings = tx.query(ACCEPT, &[&tenant, &by, &reason.as_str()]).await?.len();
    let ending = if end_unknown { tx.query(CONDEMN, &[&tenant]).await?.len() } else { 0 };
    if findings == 0 && ending == 0 {
        tx.rollback().await?;
        return Ok(None);
    }
    let event = Event::new(AuditAction::LedgerAccepted, "ledger")
        .fact("reason", reason)
        .fact("findings", findings)
        .fact("unknown_ending", ending);
    tx.record(event).commit().await?;
    Ok(Some(AcceptedRecovery { findings, ending }))
}

const CONDEMNED: &str = "-- recovery::condemned
    SELECT session_id FROM orphans WHERE target_id = $1 AND condemned_at IS NOT NULL";

/// The sessions on this target that an admin wants ended although the ledger does not know them.
pub(super) async fn condemned(
    ledger: &Ledger,
    target: gk_shared::ids::TargetId,
) -> Result<std::collections::HashSet<SessionId>, StoreError> {
    let rows = ledger.query(CONDEMNED, &[&target.uuid()]).await?;
    rows.iter().map(|row| Reader::new(row, "orphan").id("session_id", SessionId::from_uuid)).collect()
}
