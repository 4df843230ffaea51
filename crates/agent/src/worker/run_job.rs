//! One job from its lease to its report.
//!
//! Always holds: the plaintext credential lives only between the mint and the seal, in this file; a report is repeated
//! until it is taken, refused, or half a minute is over; and a failure says what the control plane is to do next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gk_shared::problem::ErrorCode;
use gk_shared::seal::{Purpose, RecipientKey, SealedCredential};
use gk_shared::wire::job::{
    CompleteJob, CreateSessionJob, ExtendSessionJob, Job, JobOutcome, LeasedJob, Requester, RevokeSessionJob,
};
use gk_shared::wire::session::SessionFailure;
use tracing::Instrument as _;

use super::Worker;
use super::lease::{Held, Lost, while_held};
use crate::api::{Claimed, UnknownJob};
use crate::provider::{Act, Deadline, EndRequest, Ended, ExtendRequest, Failure, MintRequest, ProviderError};
use crate::target::Target;

/// The target's books take this much of who asked.
const MAX_SUBJECT: usize = 200;
const REPORT_PAUSE: Duration = Duration::from_millis(250);
/// How long a result is reported to a control plane that does not take it.
const REPORTS: Duration = Duration::from_secs(30);

/// Does one job and reports it.
pub(super) async fn run(worker: Worker, claimed: Claimed) {
    match claimed {
        Claimed::Job(leased) => {
            let job = &leased.job;
            let span = tracing::info_span!(
                "job", job = %job.id(), session = %job.session(), target = %job.target(),
                correlation = job.correlation_id(), generation = leased.generation, attempt = leased.attempt
            );
            run_leased(worker, *leased).instrument(span).await;
        }
        Claimed::Unknown(job) => refuse_unknown(worker, job).await,
    }
}

async fn run_leased(worker: Worker, leased: LeasedJob) {
    let begun = Instant::now();
    let past = past_lease(&leased.job);
    let deadline = Deadline::after(Duration::from_millis(leased.lease_ms) + past);
    let LeasedJob { job, lease_token, generation, .. } = leased;
    let kind = kind_of(&job);
    let correlation = job.correlation_id().to_owned();
    let held = Held { job: job.id(), token: lease_token, generation, correlation, past };
    let act =
        Act { session: job.session(), generation, deadline: deadline.clone(), correlation: held.correlation.clone() };
    let worked = while_held(&worker.api, &held, &deadline, work(&worker, &job, act)).await;
    let outcome = match worked {
        Ok(Some(outcome)) => outcome,
        // Somebody else's by now: nothing is reported, and the next claim brings what is wanted.
        Ok(None) | Err(Lost) => return worker.metrics.job(kind, "dropped", begun.elapsed()),
    };
    worker.metrics.job(kind, word_of(&outcome), begun.elapsed());
    tracing::info!(kind, outcome = word_of(&outcome), ms = begun.elapsed().as_millis(), "job done");
    report(&worker, &held, outcome).await;
}

/// Does the job; `None` if it turned out to be an old one.
async fn work(worker: &Worker, job: &Job, act: Act) -> Option<JobOutcome> {
    let Some(target) = worker.targets.get(job.target()) else {
        let text = format!("this agent does not serve target {}", job.target());
        return Some(refused(ErrorCode::TargetUnreachable, text, true));
    };
    let done = match job {
        Job::CreateSession(job) => create(target, job, act).await,
        Job::RevokeSession(job) => revoke(target, job, act).await,
        Job::ExtendSession(job) => extend(target, job, act).await,
    };
    target.heard(&done);
    done.map_or_else(|error| failed(&error, job), Some)
}

async fn create(target: &Arc<Target>, job: &CreateSessionJob, act: Act) -> Result<JobOutcome, ProviderError> {
    let recipient: RecipientKey = match job.recipient_public_key.parse() {
        Ok(key) => key,
        Err(error) => return Ok(refused(ErrorCode::InvalidPublicKey, format!("{error}"), false)),
    };
    let generation = act.generation;
    let request = MintRequest {
        act,
        pack: job.role.clone(),
        pack_version: job.pack_version.clone(),
        pack_digest: job.pack_digest.clone(),
        subject: subject(&job.requester),
        ttl: Duration::from_secs(job.ttl_seconds.into()),
        max_connections: job.max_connections,
    };
    let minted = target.provider.mint(&request).await?;
    target.expects(job.session_id, minted.valid_until);
    let purpose = Purpose { session: job.session_id, target: &job.target, generation };
    let sealed = SealedCredential::seal(&minted.dsn, &recipient, &purpose, &mut rand::rng());
    Ok(match sealed {
        Ok(sealed) => JobOutcome::Minted {
            role_name: minted.role.to_string(),
            expires_at: minted.valid_until,
            sealed_credential: sealed.to_string(),
        },
        Err(error) => refused(ErrorCode::InvalidPublicKey, error.to_string(), false),
    })
}

async fn revoke(target: &Arc<Target>, job: &RevokeSessionJob, act: Act) -> Result<JobOutcome, ProviderError> {
    let ended = target.provider.end(&EndRequest { act }).await?;
    target.ended(job.session_id);
    Ok(match ended {
        Ended::Dropped => JobOutcome::Ended { dropped: true, blocked: None },
        Ended::Blocked(what) => JobOutcome::Ended { dropped: false, blocked: Some(what) },
    })
}

async fn extend(target: &Arc<Target>, job: &ExtendSessionJob, act: Act) -> Result<JobOutcome, ProviderError> {
    let ttl = Duration::from_secs(job.ttl_seconds.into());
    let expires_at = target.provider.extend(&ExtendRequest { act, ttl }).await?;
    target.expects(job.session_id, expires_at);
    Ok(JobOutcome::Extended { expires_at })
}

/// What a failure is reported as; `None` for one that only says that the job is old.
fn failed(error: &ProviderError, job: &Job) -> Option<JobOutcome> {
    let makes = matches!(job, Job::CreateSession(_) | Job::ExtendSession(_));
    if makes && error.failure() == Failure::Fenced {
        // The session is over on the target, perhaps by its own time: no later lease will do better. If only the job is
        // old, the report is as late as the job and changes nothing.
        tracing::info!(%error, "the target refused to go on with a session");
        return Some(refused(ErrorCode::MintFailed, error.to_string(), false));
    }
    let Some(code) = error.failure().code() else {
        tracing::info!(%error, "the target refused an old job");
        return None;
    };
    tracing::warn!(%error, code = code.as_str(), "the target did not do the job");
    // An end is wanted for as long as the session is not over, whatever stood in its way this time.
    let ends = matches!(job, Job::RevokeSession(_));
    let passes = error.failure().passes() || (ends && error.failure() == Failure::HelpersMissing);
    Some(refused(code, error.to_string(), passes))
}

fn refused(code: ErrorCode, message: String, retryable: bool) -> JobOutcome {
    JobOutcome::Refused { error: SessionFailure { code: code.as_str().to_owned(), message, retryable } }
}

/// Reports until it is taken or refused, past the end of the lease too: until somebody else holds the job its result is
/// as good as before. A repeat is harmless.
async fn report(worker: &Worker, held: &Held, outcome: JobOutcome) {
    let begun = Instant::now();
    let result = CompleteJob { lease_token: held.token.clone(), generation: held.generation, outcome };
    loop {
        match worker.api.complete(held.job, &result, &held.correlation).await {
            Ok(_) => return,
            Err(error) if error.is_stale() => return tracing::info!(%error, "the result came too late"),
            Err(error) if error.passes() && begun.elapsed() < REPORTS => {
                tracing::debug!(%error, "the result could not be reported yet");
                tokio::time::sleep(REPORT_PAUSE).await;
            }
            Err(error) => return tracing::warn!(%error, "the result could not be reported"),
        }
    }
}

async fn refuse_unknown(worker: Worker, job: UnknownJob) {
    let text = format!("this agent ({}) does not know this kind of job: {}", env!("CARGO_PKG_VERSION"), job.why);
    let outcome = refused(ErrorCode::VersionMismatch, text, false);
    let result = CompleteJob { lease_token: job.lease_token, generation: job.generation, outcome };
    worker.metrics.job("unknown", "refused", Duration::ZERO);
    if let Err(error) = worker.api.complete(job.id, &result, "").await {
        tracing::warn!(job = %job.id, %error, "an unknown job could not be refused");
    }
}

/// Who asked, as it goes into the target's books. The same for every try, or the target refuses the repeat.
fn subject(requester: &Requester) -> String {
    let full = match &requester.email {
        Some(email) => format!("{} <{email}>", requester.user_id),
        None => requester.user_id.clone(),
    };
    full.chars().take(MAX_SUBJECT).collect()
}

/// What makes or lengthens access stops with its lease. An end goes on while the control plane is away: repeated by
/// somebody else, it ends the same session once more.
const fn past_lease(job: &Job) -> Duration {
    match job {
        Job::CreateSession(_) | Job::ExtendSession(_) => Duration::ZERO,
        Job::RevokeSession(_) => Duration::from_secs(25),
    }
}

fn kind_of(job: &Job) -> &'static str {
    match job {
        Job::CreateSession(_) => "create",
        Job::RevokeSession(_) => "revoke",
        Job::ExtendSession(_) => "extend",
    }
}

fn word_of(outcome: &JobOutcome) -> &'static str {
    match outcome {
        JobOutcome::Minted { .. } => "minted",
        JobOutcome::Extended { .. } => "extended",
        JobOutcome::Ended { dropped: true, .. } => "dropped",
        JobOutcome::Ended { dropped: false, .. } => "blocked",
        JobOutcome::Refused { .. } => "refused",
    }
}
