//! Taking the result of a job: compare-and-set on the lease, then what the verdict says, in one transaction.

use std::time::Duration;

use gk_shared::ids::{JobId, SessionId};
use gk_shared::problem::ErrorCode;
use gk_shared::wire::job::{CompleteJob, JobOutcome};
use gk_shared::wire::session::SessionFailure;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;
use uuid::Uuid;

use super::apply;
use super::verdict::{Held, decide};
use crate::store::event::clean;
use crate::store::row::Reader;
use crate::store::tokens::AgentIdentity;
use crate::store::{Lane, Ledger, Origin, StoreError};

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// It was taken.
    Taken(Timing),
    /// It was taken before; this one changed nothing.
    Repeated,
    /// The lease is not the agent's any more, or the session's intent has changed. Nothing changed.
    Stale,
    /// The agent broke a rule; the session is being ended. The code to answer with.
    Refused(ErrorCode),
    /// This kind of job has no such result. Nothing changed.
    WrongOutcome,
}

/// How long things took, by the ledger's clock, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the request to the working credential, if this result brought it.
    pub create_to_ready: Option<Duration>,
    /// From the wish to end it to the cut, if this result brought it.
    pub end_to_cut: Option<Duration>,
}

/// A job with its session, locked.
pub(super) struct Locked {
    pub(super) job: JobId,
    pub(super) session: SessionId,
    pub(super) target_name: String,
    pub(super) correlation: String,
    pub(super) ttl_seconds: i32,
    pub(super) pack_version: String,
    /// Of the key that the credential is sealed to.
    pub(super) fingerprint: String,
    /// Nobody was given the credential yet.
    pub(super) unread: bool,
    pub(super) digest: [u8; 32],
    pub(super) held: Held,
    pub(super) age: Duration,
    pub(super) ending_for: Option<Duration>,
}

const LOCK: &str = "-- jobs::complete_lock
    SELECT j.kind, j.state, j.agent_id, j.lease_token, j.lease_generation, j.result_digest, j.attempt,
        j.correlation_id, coalesce(j.ttl_seconds, s.ttl_seconds) AS ttl_seconds, s.id AS session_id, s.pack_version,
        t.name AS target, s.desired, s.generation, s.cut_at IS NOT NULL AS cut, s.ended_at IS NOT NULL AS ended,
        s.blocked, s.recipient_fingerprint, s.credential_read_at IS NULL AS unread, s.provision_deadline <= now() AS late,
        extract(epoch FROM now() - s.created_at)::float8 AS age,
        extract(epoch FROM now() - s.end_wanted_at)::float8 AS ending_for
    FROM jobs j JOIN sessions s ON s.id = j.session_id JOIN targets t ON t.id = s.target_id
    WHERE j.id = $1 FOR UPDATE OF j, s";

/// Takes the result that an agent reports.
///
/// # Errors
/// The ledger's own trouble.
pub async fn complete(
    ledger: &Ledger,
    agent: &AgentIdentity,
    origin: Origin,
    (id, report): (JobId, &CompleteJob),
) -> Result<Completion, StoreError> {
    let lane = match report.outcome {
        JobOutcome::Ended { .. } | JobOutcome::Refused { .. } => Lane::Ending,
        JobOutcome::Minted { .. } | JobOutcome::Extended { .. } => Lane::Normal,
    };
    let ledger = &ledger.in_lane(lane);
    let (tx, rows) = ledger.begin_with((lane, origin), LOCK, &[&id.uuid()]).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(Completion::Stale) };
    let digest = digest(&report.outcome);
    if let Some(answer) = without_lease(&Reader::new(&row, "job"), agent, (report, &digest))? {
        return Ok(answer);
    }
    let locked = locked(&row, id, digest)?;
    let verdict = decide(&locked.held, &cleaned(&report.outcome));
    apply::apply(ledger, tx, &locked, verdict).await
}

/// An agent repeats what a target said; what comes from there is not to be trusted as a text.
fn cleaned(outcome: &JobOutcome) -> JobOutcome {
    match outcome {
        JobOutcome::Minted { .. } | JobOutcome::Extended { .. } => outcome.clone(),
        JobOutcome::Ended { dropped, blocked } => {
            JobOutcome::Ended { dropped: *dropped, blocked: blocked.as_deref().map(clean) }
        }
        JobOutcome::Refused { error } => JobOutcome::Refused {
            error: SessionFailure {
                code: clean(&error.code),
                message: clean(&error.message),
                retryable: error.retryable,
            },
        },
    }
}

fn digest(outcome: &JobOutcome) -> [u8; 32] {
    let text = serde_json::to_vec(outcome).expect("an outcome holds only texts, numbers and times");
    Sha256::digest(text).into()
}

/// The answer to a report that does not hold the lease; `None` if it does.
fn without_lease(
    row: &Reader<'_>,
    agent: &AgentIdentity,
    (report, digest): (&CompleteJob, &[u8; 32]),
) -> Result<Option<Completion>, StoreError> {
    let holder: Option<Uuid> = row.get("agent_id")?;
    let token: Option<&str> = row.get("lease_token")?;
    let generation: Option<i64> = row.get("lease_generation")?;
    let taken: Option<&[u8]> = row.get("result_digest")?;
    let same_lease = holder == Some(agent.id.uuid())
        && token == Some(report.lease_token.as_str())
        && generation == Some(report.generation);
    if !same_lease {
        return Ok(Some(Completion::Stale));
    }
    if taken == Some(digest.as_slice()) {
        return Ok(Some(Completion::Repeated));
    }
    let leased = row.get::<&str>("state")? == "leased";
    Ok(if leased { None } else { Some(Completion::Stale) })
}

fn locked(row: &Row, job: JobId, digest: [u8; 32]) -> Result<Locked, StoreError> {
    let row = Reader::new(row, "job");
    let session = row.id("session_id", SessionId::from_uuid)?;
    let held = Held {
        kind: row.parse("kind")?,
        role: session.role_name(),
        desired: row.parse("desired")?,
        generation: row.get("generation")?,
        lease_generation: row.get("lease_generation")?,
        attempt: row.get("attempt")?,
        cut: row.get("cut")?,
        ended: row.get("ended")?,
        blocked: row.get("blocked")?,
        late: row.get("late")?,
    };
    Ok(Locked {
        job,
        session,
        target_name: row.get("target")?,
        correlation: row.get("correlation_id")?,
        ttl_seconds: row.get("ttl_seconds")?,
        pack_version: row.get("pack_version")?,
        fingerprint: row.get("recipient_fingerprint")?,
        unread: row.get("unread")?,
        digest,
        held,
        age: seconds(row.get("age")?),
        ending_for: row.get::<Option<f64>>("ending_for")?.map(seconds),
    })
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
