//! Extending a session: a job for the agent; the end moves when the target has moved it.

use gk_shared::audit::AuditAction;
use gk_shared::ids::{JobId, SessionId};
use gk_shared::reason::Reason;
use gk_shared::session::{Desired, SessionStatus};
use gk_shared::ttl::Ttl;
use gk_shared::wire::session::SessionFailure;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use super::record::{SessionRecord, Viewer};
use crate::store::recovery;
use crate::store::row::Reader;
use crate::store::{Event, Lane, Ledger, Origin, StoreError};
use crate::wakeups::Wake;

/// Somebody's wish for more time, which policy has allowed.
#[derive(Debug, Clone)]
pub struct ExtendRequest {
    /// Which session.
    pub id: SessionId,
    /// Whose sessions the caller may extend.
    pub viewer: Viewer,
    /// How much longer from now.
    pub ttl: Ttl,
    /// How long the session may last as a whole, from when it was ready.
    pub ceiling: Ttl,
    /// Why, for the log.
    pub note: Option<Reason>,
}

/// The answer to such a wish.
#[derive(Debug, Clone)]
pub enum ExtendOutcome {
    /// An agent was asked with this job; `expires_at` moves when it is done.
    Asked(JobId),
    /// An extension is already under way.
    UnderWay,
    /// The session already runs at least as long.
    NotLater {
        /// Its end.
        until: Timestamp,
    },
    /// The session as a whole would last longer than it may; how long it may last from now, in seconds.
    TooLong {
        /// What is left of the ceiling.
        left_seconds: u32,
    },
    /// It is not ready yet.
    NotReady,
    /// The ledger is older than what was seen outside of it; what shows that.
    LedgerBehind(String),
    /// It has ended or is ending.
    Ended,
    /// There is none, or the caller may not see it.
    NotFound,
}

const ASK: &str = "-- sessions::extend
    INSERT INTO jobs (id, tenant_id, session_id, target_id, kind, lane, correlation_id, ttl_seconds)
    SELECT $2, s.tenant_id, s.id, s.target_id, 'extend', 0, $3, $4 FROM sessions s
    WHERE s.id = $1 AND s.desired = 'present' AND s.observed = 'armed'
      AND NOT EXISTS (SELECT FROM recoveries r WHERE r.tenant_id = s.tenant_id AND r.accepted_at IS NULL)
    ON CONFLICT (session_id, kind) WHERE state IN ('queued', 'leased') DO NOTHING
    RETURNING id";

/// Asks an agent to move the end of a session.
///
/// # Errors
/// The ledger's own trouble.
pub async fn extend(ledger: &Ledger, origin: Origin, wish: &ExtendRequest) -> Result<ExtendOutcome, StoreError> {
    let Some(session) = super::find(ledger, wish.id, wish.viewer).await? else { return Ok(ExtendOutcome::NotFound) };
    if let Some(refusal) = refusal(&session, wish) {
        return Ok(refusal);
    }
    let mut tx = ledger.begin(Lane::Normal, origin).await?;
    let job: JobId = tx.fresh();
    let seconds = i32::try_from(wish.ttl.as_secs()).expect("a ttl is at most a day");
    let request = tx.origin().request().to_owned();
    let params: [&(dyn ToSql + Sync); 4] = [&wish.id.uuid(), &job.uuid(), &request, &seconds];
    if tx.opt(ASK, &params).await?.is_none() {
        let behind = recovery::open(ledger).await?.into_iter().next();
        return Ok(behind.map_or(ExtendOutcome::UnderWay, |finding| ExtendOutcome::LedgerBehind(finding.detail)));
    }
    tx.wake(Wake::Ends(session.target_id));
    let event = Event::new(AuditAction::SessionExtended, wish.id)
        .fact("step", "asked")
        .fact("ttl_seconds", wish.ttl.as_secs())
        .fact_opt("reason", wish.note.as_ref());
    tx.record(event).commit().await?;
    Ok(ExtendOutcome::Asked(job))
}

/// Why the session cannot be extended so, if it cannot.
fn refusal(session: &SessionRecord, wish: &ExtendRequest) -> Option<ExtendOutcome> {
    match session.status() {
        SessionStatus::Ready => {}
        SessionStatus::PendingApproval | SessionStatus::Provisioning => return Some(ExtendOutcome::NotReady),
        SessionStatus::Revoking
        | SessionStatus::Quarantined
        | SessionStatus::Revoked
        | SessionStatus::Expired
        | SessionStatus::Failed
        | SessionStatus::Denied
        | SessionStatus::Cancelled => return Some(ExtendOutcome::Ended),
    }
    let lived = session.ready_at.map_or(0, |ready| session.now.duration_since(ready).as_secs().max(0));
    let left = i64::from(wish.ceiling.as_secs()) - lived;
    let left_seconds = u32::try_from(left).unwrap_or(0);
    if wish.ttl.as_secs() > left_seconds {
        return Some(ExtendOutcome::TooLong { left_seconds });
    }
    let end = session.now + wish.ttl.as_duration();
    session.expires_at.filter(|until| end <= *until).map(|until| ExtendOutcome::NotLater { until })
}

/// Where an extension stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension {
    /// No agent has finished it.
    UnderWay,
    /// The end has moved.
    Moved,
    /// It was given up; the session goes on as it was.
    Refused(SessionFailure),
    /// The session is ending, so nobody extends it any more.
    Overtaken,
}

/// Why an extension was refused is in the log alone.
const EXTENSION: &str = "-- sessions::extension
    SELECT s.desired, j.state IN ('queued', 'leased') AS under_way, j.state = 'done' AS done, e.facts ->> 'code' AS code,
        e.facts ->> 'message' AS message
    FROM jobs j JOIN sessions s ON s.id = j.session_id CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(f ->> 0, f ->> 1) AS facts
        FROM audit_events, jsonb_array_elements(canonical::jsonb -> 'facts') f
        WHERE object = $2 AND action = 'session.extended'
          AND canonical::jsonb -> 'facts' @> jsonb_build_array(jsonb_build_array('job', $3::text))) e
    WHERE j.id = $1";

/// Where the extension of `session` that `job` was to do stands.
///
/// # Errors
/// The ledger's own trouble.
pub async fn extension(ledger: &Ledger, session: SessionId, job: JobId) -> Result<Extension, StoreError> {
    let params: [&(dyn ToSql + Sync); 3] = [&job.uuid(), &session.to_string(), &job.to_string()];
    let Some(row) = ledger.opt(EXTENSION, &params).await? else { return Ok(Extension::Overtaken) };
    let row = Reader::new(&row, "job");
    if let (Some(code), Some(message)) = (row.get("code")?, row.get("message")?) {
        return Ok(Extension::Refused(SessionFailure { code, message, retryable: false }));
    }
    if row.get("done")? {
        return Ok(Extension::Moved);
    }
    let wanted = row.parse::<Desired>("desired")? == Desired::Present;
    Ok(if wanted && row.get("under_way")? { Extension::UnderWay } else { Extension::Overtaken })
}
