//! The control plane as the agent talks to it: claim, renew, complete, heartbeat, observe.
//!
//! Always holds: no redirect is followed (the token stays here), every call has a time-out, and a job that this build
//! cannot read is told apart from the ones it can, so that a newer control plane never stops an older agent.

mod connect;
mod look;

use std::time::Duration;

use gk_shared::ids::JobId;
use gk_shared::problem::{ErrorCode, Problem};
use gk_shared::secret::BearerToken;
use gk_shared::wire::agent::{CertifiedAgent, CertifyAgent, Heartbeat, HeartbeatAnswer, Intents, Observation};
use gk_shared::wire::job::{ClaimJobs, CompleteJob, CompletedJob, LeasedJob, RenewJob, RenewedJob};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{AgentConfig, IdentityError, IdentityFile, PlaneUrl};

use connect::{Shown, Way};
pub use look::Sight;

/// How long the control plane may take over what it need not wait for.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Added to the wait of a long poll.
const CLAIM_SLACK: Duration = Duration::from_secs(10);
/// An answer is never larger.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No answer.
    #[error("the control plane does not answer: {0}")]
    Unreachable(String),
    /// A refusal.
    #[error("the control plane refused: {} ({})", .0.detail, .0.code)]
    Refused(Box<Problem>),
    /// An answer that is none of ours.
    #[error("the control plane's answer cannot be read: {0}")]
    Malformed(String),
    /// The certificate that would be shown.
    #[error("the agent's certificate cannot be shown: {0}")]
    Identity(#[from] IdentityError),
}

impl ApiError {
    /// Whether the job is somebody else's by now.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.status == 409,
            Self::Unreachable(_) | Self::Malformed(_) | Self::Identity(_) => false,
        }
    }

    /// Whether the same call may go through later.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(problem) => problem.retryable || problem.status >= 500 || problem.status == 429,
            Self::Malformed(_) | Self::Identity(_) => false,
        }
    }
}

/// A job of an answer: one that can be read, or one that a newer control plane may understand.
#[derive(Debug)]
pub enum Claimed {
    /// A job to do.
    Job(Box<LeasedJob>),
    /// A job of an unknown kind or shape, to be refused.
    Unknown(UnknownJob),
}

/// As much of a job as is needed to refuse it.
#[derive(Debug)]
pub struct UnknownJob {
    /// The job.
    pub id: JobId,
    /// The lease held.
    pub lease_token: String,
    /// The generation held.
    pub generation: i64,
    /// Why it cannot be read.
    pub why: String,
}

/// A client of one control plane.
#[derive(Debug)]
pub struct PlaneClient {
    base: PlaneUrl,
    way: Way,
    shown: Shown,
}

impl PlaneClient {
    /// A client; nothing is connected before it is used.
    ///
    /// # Errors
    /// When the TLS backend, the system's trust store or the agent's certificate cannot be used.
    pub fn new(config: &AgentConfig) -> Result<Self, ApiError> {
        let way = Way::of(config);
        Ok(Self { base: config.control_plane.clone(), shown: Shown::of(config, &way)?, way })
    }

    /// Fetches the first certificate, with a one-time token.
    ///
    /// # Errors
    /// No answer or a refusal.
    pub async fn enroll(
        config: &AgentConfig,
        token: &BearerToken,
        ask: &CertifyAgent,
    ) -> Result<CertifiedAgent, ApiError> {
        let url = config.control_plane.at("/v1/agent/enroll");
        let request = Way::of(config).client(None)?.post(url).timeout(CALL_TIMEOUT).json(ask);
        read_answer(send(request, Some(token)).await?).await
    }

    /// Fetches the next certificate, by the one that is shown.
    ///
    /// # Errors
    /// No answer or a refusal.
    pub async fn certify(&self, ask: &CertifyAgent) -> Result<CertifiedAgent, ApiError> {
        self.post("/v1/agent/certificate", ask, Call { timeout: CALL_TIMEOUT, request_id: None }).await
    }

    /// The file of the certificate, if one is shown.
    #[must_use]
    pub fn identity_file(&self) -> Option<&IdentityFile> {
        self.shown.file()
    }

    /// Shows what is in the certificate's file from now on.
    ///
    /// # Errors
    /// It cannot be used; the one of before is still shown.
    pub fn reload_identity(&self) -> Result<(), ApiError> {
        self.shown.reload(&self.way)
    }

    /// Waits for jobs, up to the claim's own wait.
    ///
    /// # Errors
    /// No answer, a refusal, or an answer without jobs in it.
    pub async fn claim(&self, claim: &ClaimJobs) -> Result<Vec<Claimed>, ApiError> {
        #[derive(serde::Deserialize)]
        struct Raw {
            jobs: Vec<serde_json::Value>,
        }
        let timeout = Duration::from_millis(claim.wait_ms.into()) + CLAIM_SLACK;
        let raw: Raw = self.post("/v1/agent/jobs/claim", claim, Call { timeout, request_id: None }).await?;
        Ok(raw.jobs.into_iter().filter_map(read_job).collect())
    }

    /// Holds a job for longer.
    ///
    /// # Errors
    /// [`ApiError::is_stale`] when it is lost.
    pub async fn renew(&self, job: JobId, renewal: &RenewJob, request_id: &str) -> Result<RenewedJob, ApiError> {
        self.post(&format!("/v1/agent/jobs/{job}/renew"), renewal, Call::short(request_id)).await
    }

    /// Reports how a job went.
    ///
    /// # Errors
    /// [`ApiError::is_stale`] when it is lost.
    pub async fn complete(&self, job: JobId, result: &CompleteJob, request_id: &str) -> Result<CompletedJob, ApiError> {
        self.post(&format!("/v1/agent/jobs/{job}/complete"), result, Call::short(request_id)).await
    }

    /// Says that the agent lives, and how its targets are.
    ///
    /// # Errors
    /// No answer or a refusal.
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<HeartbeatAnswer, ApiError> {
        self.post("/v1/agent/heartbeat", beat, Call { timeout: CALL_TIMEOUT, request_id: None }).await
    }

    /// Says what is on a target, and learns what is wanted of it.
    ///
    /// # Errors
    /// No answer or a refusal.
    pub async fn observe(&self, seen: &Observation) -> Result<Intents, ApiError> {
        self.post("/v1/agent/observe", seen, Call { timeout: CALL_TIMEOUT, request_id: None }).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        call: Call<'_>,
    ) -> Result<T, ApiError> {
        self.call(|http| {
            let request = http.post(self.base.at(path)).timeout(call.timeout).json(body);
            match call.request_id {
                Some(id) => request.header("x-request-id", id),
                None => request,
            }
        })
        .await
    }

    /// Sends a request, and once more if the token's file has a newer one than was refused.
    async fn call<T: DeserializeOwned>(
        &self,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<T, ApiError> {
        let once = async || {
            let (http, token) = self.shown.now();
            send(request(&http), token.as_ref()).await
        };
        let answer = once().await?;
        let again = answer.status().as_u16() == 401 && self.shown.renewed();
        read_answer(if again { once().await? } else { answer }).await
    }
}

async fn send(request: reqwest::RequestBuilder, token: Option<&BearerToken>) -> Result<reqwest::Response, ApiError> {
    let request = match token {
        Some(token) => request.bearer_auth(token.expose()),
        None => request,
    };
    request.send().await.map_err(|error| ApiError::Unreachable(reason(&error)))
}

/// What differs from call to call.
struct Call<'a> {
    timeout: Duration,
    request_id: Option<&'a str>,
}

impl<'a> Call<'a> {
    fn short(request_id: &'a str) -> Self {
        Self { timeout: CALL_TIMEOUT, request_id: Some(request_id) }
    }
}

/// The innermost cause says what happened; what stands around it repeats the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

async fn read_answer<T: DeserializeOwned>(mut answer: reqwest::Response) -> Result<T, ApiError> {
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| ApiError::Unreachable(reason(&error)))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(ApiError::Malformed("it is larger than 8 MiB".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| ApiError::Malformed(error.to_string()));
    }
    let problem = serde_json::from_slice(&body).unwrap_or_else(|_| {
        let mut problem =
            Problem::new(ErrorCode::Internal, format!("status {} without an explanation", status.as_u16()));
        problem.status = status.as_u16();
        problem.retryable = status.is_server_error();
        problem
    });
    Err(ApiError::Refused(Box::new(problem)))
}

/// Reads one job of a claim's answer. One that has no id or lease cannot even be refused: its lease runs out.
fn read_job(raw: serde_json::Value) -> Option<Claimed> {
    let text = |value: Option<&serde_json::Value>| value?.as_str().map(str::to_owned);
    let id = text(raw.get("job").and_then(|job| job.get("id")));
    let (lease_token, generation) =
        (text(raw.get("leaseToken")), raw.get("generation").and_then(serde_json::Value::as_i64));
    match serde_json::from_value::<LeasedJob>(raw) {
        Ok(job) => Some(Claimed::Job(Box::new(job))),
        Err(error) => {
            tracing::warn!(%error, "a job of an unknown kind; is the control plane newer than this agent?");
            let id = id?.parse().ok()?;
            let why = error.to_string();
            Some(Claimed::Unknown(UnknownJob { id, lease_token: lease_token?, generation: generation?, why }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_an_unknown_kind_keeps_what_is_needed_to_refuse_it() {
        let id = JobId::from_parts(1_700_000_000_000, [1; 10]);
        let raw = serde_json::json!({"job": {"kind": "freeze_session", "id": id}, "leaseToken": "ab", "generation": 3});
        match read_job(raw) {
            Some(Claimed::Unknown(job)) => {
                assert_eq!((job.id, &*job.lease_token, job.generation), (id, "ab", 3));
            }
            other => panic!("{other:?}"),
        }
        assert!(read_job(serde_json::json!({"job": 7})).is_none());
    }
}
