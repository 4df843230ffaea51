//! Sessions over HTTP: `/v1/sessions`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SessionId;
use crate::names::{PackName, TargetName};
use crate::secret::SecretText;
use crate::session::{EndReason, SessionStatus};

/// `POST /v1/sessions`. Give `ttlSeconds` or `ttlMinutes`, not both.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateSession {
    /// Target to get into.
    #[garde(skip)]
    pub target: TargetName,
    /// Role pack to get there.
    #[garde(skip)]
    pub role: PackName,
    /// How long, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(minimum = 5, maximum = 86_400)]
    pub ttl_seconds: Option<u32>,
    /// How long, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(minimum = 1, maximum = 1440)]
    pub ttl_minutes: Option<u32>,
    /// Why; kept in the audit log. Policy says whether it may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: Option<String>,
    /// Ticket that the work belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(pattern = "^[A-Za-z0-9._/#-]{1,64}$")]
    pub ticket: Option<String>,
    /// Connections at once, at most what the pack allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(range(min = 1, max = 50)))]
    #[schema(minimum = 1, maximum = 50)]
    pub max_connections: Option<u16>,
    /// One-time X25519 key (32 bytes, standard base64) that the credential is sealed to. Without it the credential is
    /// sealed to a key derived from the caller's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(pattern = "^[A-Za-z0-9+/]{43}=$")]
    pub recipient_public_key: Option<String>,
}

/// A session as its requester, an admin or an auditor sees it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// The session.
    pub session_id: SessionId,
    /// Where it stands.
    pub status: SessionStatus,
    /// Target.
    pub target: TargetName,
    /// Role pack.
    pub role: PackName,
    /// Version of the pack that this session is pinned to.
    pub pack_version: String,
    /// Who asked.
    pub requester: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// When it was asked for, by the ledger's clock.
    pub created_at: Timestamp,
    /// How long it was granted for.
    pub ttl_seconds: u32,
    /// Database role of the session (its login name).
    pub database_user: String,
    /// When the credential stops working, by the target's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Seconds until then, by the ledger's clock, never below zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<i64>,
    /// When the credential first worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// Why it ends or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
    /// Who wanted the end: an actor, or `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// When no login and no connection was left, seen twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_at: Option<Timestamp>,
    /// When the role was seen to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Connections seen at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<i64>,
    /// What keeps the role from being dropped, and how to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<SessionFailure>,
    /// The credential, for the requester's own token when no key was sent. Present only when the session is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dsn: Option<SecretText>,
    /// The credential, sealed to the key that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_credential: Option<String>,
    /// Fingerprint of the key it is sealed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_fingerprint: Option<String>,
    /// Correlation id of the request that made it.
    pub correlation_id: String,
}

/// Why a session failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionFailure {
    /// Stable code, one of [`crate::problem::ErrorCode`].
    pub code: String,
    /// What happened.
    pub message: String,
    /// Whether a new session may do better.
    pub retryable: bool,
}

/// `GET /v1/sessions`: newest first. Query: `limit` 1..200 (50), `cursor`, `status`, `target`, `mine=true`, `live=true`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionPage {
    /// The sessions, without credentials.
    pub sessions: Vec<SessionView>,
    /// Pass it to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `POST /v1/sessions/{id}/revoke`. The body may be left out. Query: `wait=10s`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeSession {
    /// Why, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: Option<String>,
}

/// `POST /v1/sessions/{id}/extend`: the end becomes now + ttl, if policy lets a new session last that long, and if the
/// session as a whole stays under the ceiling.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtendSession {
    /// How much longer from now, in seconds.
    #[garde(skip)]
    #[schema(minimum = 5, maximum = 86_400)]
    pub ttl_seconds: u32,
    /// Why, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: Option<String>,
}

/// `POST /v1/sessions?dryRun=true`: what policy would say; nothing is made.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Whether it would be granted.
    pub allowed: bool,
    /// The rule that decides.
    pub rule: String,
    /// The longest that may be asked for.
    pub max_ttl_seconds: u32,
}
