//! Jobs: what the control plane asks of an agent, and what the agent answers.
//!
//! Always holds: an agent refuses to make or to extend a session when the job has a field that it does not know. A newer
//! control plane may have put a restriction there, and a role without it would be wider than what was granted. An end
//! has no such strictness: whatever else is said of it, it is wanted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{JobId, SessionId};
use crate::names::{PackName, TargetName};
use crate::session::EndReason;
use crate::wire::session::SessionFailure;

/// Who asked, as the agent needs to know it (it goes into the role's comment).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requester {
    /// The actor's name.
    pub user_id: String,
    /// E-mail, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Make the session's role.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateSessionJob {
    /// The job, and the key that makes a repeat harmless.
    pub id: JobId,
    /// Correlation id of the request.
    pub correlation_id: String,
    /// The session; the role's name follows from it.
    pub session_id: SessionId,
    /// Where.
    pub target: TargetName,
    /// Role pack.
    pub role: PackName,
    /// Version of the pack.
    pub pack_version: String,
    /// Digest that the target's registered pack must have.
    pub pack_digest: String,
    /// How long from the moment of the mint, by the target's clock.
    pub ttl_seconds: u32,
    /// Connections at once; absent: what the pack says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u16>,
    /// Who asked.
    pub requester: Requester,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Key that the credential is sealed to, standard base64.
    pub recipient_public_key: String,
}

/// Remove the session's role.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokeSessionJob {
    /// The job.
    pub id: JobId,
    /// Correlation id of the request.
    pub correlation_id: String,
    /// The session.
    pub session_id: SessionId,
    /// Where.
    pub target: TargetName,
    /// Why.
    pub reason: EndReason,
}

/// Move the session's end (never past the pack's limit on the target).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtendSessionJob {
    /// The job.
    pub id: JobId,
    /// Correlation id of the request.
    pub correlation_id: String,
    /// The session.
    pub session_id: SessionId,
    /// Where.
    pub target: TargetName,
    /// How much longer from the moment of the change, by the target's clock.
    pub ttl_seconds: u32,
}

/// What to do. An agent answers an unknown kind with `JobOutcome::Refused` and goes on.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Make a role.
    CreateSession(CreateSessionJob),
    /// Remove a role.
    RevokeSession(RevokeSessionJob),
    /// Move a role's end.
    ExtendSession(ExtendSessionJob),
}

impl Job {
    /// Where it is to be done.
    #[must_use]
    pub fn target(&self) -> &TargetName {
        match self {
            Self::CreateSession(job) => &job.target,
            Self::RevokeSession(job) => &job.target,
            Self::ExtendSession(job) => &job.target,
        }
    }
    /// The session it is about.
    #[must_use]
    pub fn session(&self) -> SessionId {
        match self {
            Self::CreateSession(job) => job.session_id,
            Self::RevokeSession(job) => job.session_id,
            Self::ExtendSession(job) => job.session_id,
        }
    }
    /// The job's id.
    #[must_use]
    pub fn id(&self) -> JobId {
        match self {
            Self::CreateSession(job) => job.id,
            Self::RevokeSession(job) => job.id,
            Self::ExtendSession(job) => job.id,
        }
    }
    /// Correlation id of the request that caused it.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        match self {
            Self::CreateSession(job) => &job.correlation_id,
            Self::RevokeSession(job) => &job.correlation_id,
            Self::ExtendSession(job) => &job.correlation_id,
        }
    }
}

/// A job that this agent holds for a time.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeasedJob {
    /// What to do.
    pub job: Job,
    /// Fences results that come too late (128 random bits, hex).
    pub lease_token: String,
    /// How long the lease holds from the moment this answer was written, in milliseconds.
    pub lease_ms: u64,
    /// Generation that every act on the target must carry.
    pub generation: i64,
    /// How often it was leased, this time included.
    pub attempt: i32,
}

/// `POST /v1/agent/jobs/claim`. Waits up to `waitMs` for work.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimJobs {
    /// Free slots for sessions to make.
    #[garde(range(max = 256))]
    #[schema(maximum = 256)]
    pub create_slots: u16,
    /// Free slots for sessions to end or extend; taken first.
    #[garde(range(max = 256))]
    #[schema(maximum = 256)]
    pub revoke_slots: u16,
    /// How long to wait for work, at most 30,000.
    #[garde(range(max = 30_000))]
    #[schema(maximum = 30_000)]
    pub wait_ms: u32,
    /// Targets to leave out for now (they do not answer), so that they do not hold up others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(length(max = 1000))]
    #[schema(max_items = 1000)]
    pub except_targets: Vec<TargetName>,
}

/// Answer to a claim.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedJobs {
    /// Jobs, ends before beginnings.
    pub jobs: Vec<LeasedJob>,
}

/// `POST /v1/agent/jobs/{id}/renew`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenewJob {
    /// The lease held.
    #[garde(length(max = 64))]
    #[schema(max_length = 64)]
    pub lease_token: String,
    /// The generation held.
    #[garde(range(min = 1))]
    #[schema(minimum = 1)]
    pub generation: i64,
}

/// Answer to a renewal that was granted; a refused one is 409 `stale_lease`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenewedJob {
    /// How long the lease now holds, in milliseconds.
    pub lease_ms: u64,
}

/// `POST /v1/agent/jobs/{id}/complete`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompleteJob {
    /// The lease held.
    #[garde(length(max = 64))]
    #[schema(max_length = 64)]
    pub lease_token: String,
    /// The generation held.
    #[garde(range(min = 1))]
    #[schema(minimum = 1)]
    pub generation: i64,
    /// How it went.
    #[garde(skip)]
    pub outcome: JobOutcome,
}

/// How a job went.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum JobOutcome {
    /// The role exists and can log in.
    Minted {
        /// Its name, which must follow from the session.
        role_name: String,
        /// Its end, by the target's clock.
        expires_at: Timestamp,
        /// The DSN, sealed to the recipient.
        sealed_credential: String,
    },
    /// The end of the role was moved.
    Extended {
        /// Its end, by the target's clock.
        expires_at: Timestamp,
    },
    /// The session is cut off: no login, no connection, seen twice.
    Ended {
        /// Whether the role is gone too.
        dropped: bool,
        /// What keeps it, and how to mend that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blocked: Option<String>,
    },
    /// It did not work. A retryable failure puts the job back in the queue with backoff.
    Refused {
        /// Why.
        error: SessionFailure,
    },
}

/// What a result is answered with.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompletedJob {
    /// Whether this call changed something; `false` for a repeat of a result that was already taken.
    pub changed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_not_known_is_refused_in_a_job_that_gives_access_and_in_no_end() {
        let job = JobId::from_parts(1_700_000_000_000, [1; 10]);
        let session = SessionId::from_parts(1_700_000_000_000, [2; 10]);
        let base = |kind: &str| serde_json::json!({"kind": kind, "id": job, "correlationId": "req_x", "sessionId": session, "target": "app"});
        let with = |kind: &str, more: serde_json::Value| {
            let mut job = base(kind);
            let fields = job.as_object_mut().expect("is an object");
            fields.extend(more.as_object().expect("is an object").clone());
            job
        };
        let create = serde_json::json!({
            "role": "app_read", "packVersion": "pg-1.0.0", "packDigest": "d", "ttlSeconds": 60,
            "requester": {"userId": "ada"}, "recipientPublicKey": "k",
        });
        let jobs = [
            (with("create_session", create), true),
            (with("extend_session", serde_json::json!({"ttlSeconds": 60})), true),
            (with("revoke_session", serde_json::json!({"reason": "revoked"})), false),
        ];
        for (mut job, strict) in jobs {
            assert!(serde_json::from_value::<Job>(job.clone()).is_ok(), "{job}");
            job["onlySchema"] = "sales".into();
            let refusal = serde_json::from_value::<Job>(job.clone()).err().map(|error| error.to_string());
            assert_eq!(refusal.is_some_and(|why| why.contains("onlySchema")), strict, "{job}");
        }
    }
}
