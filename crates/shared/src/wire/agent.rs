//! Agents: enrolment, heartbeat, observations.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::SealedHead;
use crate::ids::{AgentId, SessionId};
use crate::names::{AgentName, TargetName};
use crate::secret::SecretText;
use crate::session::Desired;
use crate::wire::token::MAX_TOKEN_SECONDS;

/// Roles that one observation holds at most; the rest goes into another, with `complete` false.
pub const MAX_ROLES: usize = 20_000;

/// `POST /v1/agents`: enrols an agent for its targets and gives it a token.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollAgent {
    /// Name of the agent.
    #[garde(skip)]
    pub name: AgentName,
    /// Targets it may serve; those that are new are made.
    #[garde(length(min = 1, max = 200))]
    #[schema(min_items = 1, max_items = 200)]
    pub targets: Vec<TargetName>,
    /// How long its token works, in seconds (default: 90 days; for a certificate, to fetch it with: one hour).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(range(min = 60, max = MAX_TOKEN_SECONDS)))]
    #[schema(minimum = 60, maximum = 7_776_000)]
    pub ttl_seconds: Option<u32>,
    /// What it shows from then on; absent: a token.
    #[serde(default, skip_serializing_if = "AgentIdentityKind::is_token")]
    #[garde(skip)]
    pub identity: AgentIdentityKind,
}

/// What an agent shows to prove who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentIdentityKind {
    /// The bearer token of the answer.
    #[default]
    Token,
    /// A certificate that it fetches with the token of the answer, which works once and for that alone.
    Certificate,
}

impl AgentIdentityKind {
    /// Whether it is what an older control plane knows, too.
    const fn is_token(&self) -> bool {
        matches!(self, Self::Token)
    }
}

/// `POST /v1/agent/enroll`, with a one-time token, and `POST /v1/agent/certificate`, with the certificate that ends.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertifyAgent {
    /// A certificate request (PKCS#10, PEM) for a key that the agent has made. Only its key is believed.
    #[garde(length(min = 1, max = 8192))]
    pub request: String,
}

/// Answer: the certificate for the key of the request.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertifiedAgent {
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// The certificate, PEM.
    pub certificate: String,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// Answer to `POST /v1/agents/{name}/revoke`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokedAgent {
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// How many tokens and certificates worked until now.
    pub revoked: u32,
}

/// Answer to an enrolment. The token is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrolledAgent {
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// Its targets.
    pub targets: Vec<TargetName>,
    /// Its token; for a certificate the one-time token to fetch it with.
    pub token: SecretText,
    /// When the token stops working.
    pub expires_at: Timestamp,
}

/// An agent as admins see it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentView {
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// Its targets.
    pub targets: Vec<TargetName>,
    /// Version it last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
    /// Heard of within the last 30 s.
    pub online: bool,
    /// Since when it is given no new sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining_at: Option<Timestamp>,
    /// Jobs that it is at work on.
    #[serde(default)]
    pub jobs: i64,
}

/// `POST /v1/agents/{name}/drain`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrainAgent {
    /// Give it new sessions again.
    #[serde(default)]
    #[garde(skip)]
    pub undo: bool,
}

/// `GET /v1/agents`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentList {
    /// All agents, by name.
    pub agents: Vec<AgentView>,
}

/// `POST /v1/agent/heartbeat`, every 10 s and at start.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    /// The agent's version.
    #[garde(length(min = 1, max = 64))]
    #[schema(min_length = 1, max_length = 64)]
    pub version: String,
    /// Its targets, as it sees them.
    #[garde(length(max = 1000))]
    #[schema(max_items = 1000)]
    pub targets: Vec<TargetHealth>,
    /// The newest checkpoint of the audit log that the agent holds as a witness. Signed, so an agent cannot make one
    /// up: a control plane whose log does not continue it knows that the log went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    pub witnessed: Option<SealedHead>,
}

/// How an agent sees one of its targets.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetHealth {
    /// The target.
    pub target: TargetName,
    /// Address that clients are given.
    pub host: String,
    /// Port that clients are given.
    pub port: u16,
    /// Database that clients are given.
    pub database: String,
    /// Whether the last look worked.
    pub reachable: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Server version, e.g. `16.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// Version of the helpers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helpers_version: Option<String>,
    /// Role packs registered and usable there.
    #[serde(default)]
    pub packs: Vec<TargetPack>,
    /// Target's clock at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_time: Option<Timestamp>,
    /// Its servers, where it has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointHealth>,
}

/// One server of a target, as its agent last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHealth {
    /// Where the agent finds it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it is.
    pub role: EndpointRole,
    /// Whether it is the one that roles are written to.
    pub written: bool,
    /// How many bytes of the primary's log it has not replayed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_bytes: Option<u64>,
    /// Why it cannot be looked at. No session that ends meanwhile is called over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// For how long that has been so, in seconds, when it was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_seconds: Option<u64>,
}

/// What a server of a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndpointRole {
    /// It takes writes.
    Primary,
    /// It replays what another writes.
    Standby,
    /// It does not answer, or was not asked yet.
    Unknown,
}

impl EndpointRole {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Unknown => "unknown",
        }
    }
}

/// A role pack as it is registered on a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetPack {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its SQL: `sha256:` and 64 hex digits.
    pub digest: String,
    /// Why it cannot be used, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Answer to a heartbeat.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatAnswer {
    /// The control plane's version.
    pub version: String,
    /// Ledger's clock.
    pub ledger_time: Timestamp,
    /// Targets that this agent reported and may not serve.
    pub refused_targets: Vec<TargetName>,
}

/// State of a minted role in the target's own books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleState {
    /// Minted and not disarmed.
    Minted,
    /// Disarmed.
    Disarmed,
    /// Disarmed, and something keeps it from being dropped.
    Stuck,
    /// Gone.
    Dropped,
    /// Of our pattern, but not in the target's books.
    Orphan,
    /// In the books, but the role was dropped and made again by somebody else.
    Replaced,
}

/// A role as an agent sees it on its target.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedRole {
    /// Session that the role's name stands for.
    pub session_id: SessionId,
    /// Generation in the target's books; 0 for an orphan.
    pub generation: i64,
    /// State.
    pub state: RoleState,
    /// Whether it can log in now.
    pub armed: bool,
    /// Its connections.
    pub backends: i64,
    /// Its end by the target's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// What keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// `POST /v1/agent/observe`: everything of ours on one target, at one moment.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observation {
    /// The target.
    #[garde(skip)]
    pub target: TargetName,
    /// Its clock.
    #[garde(skip)]
    pub target_time: Timestamp,
    /// Whether `roles` holds all there is: only then does a missing one count as gone.
    #[garde(skip)]
    pub complete: bool,
    /// The roles.
    #[garde(length(max = MAX_ROLES))]
    pub roles: Vec<ObservedRole>,
    /// Sessions that the agent or the deadman ended by itself since its last report, cut and dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(length(max = MAX_ROLES))]
    pub dropped: Vec<SessionId>,
    /// How far the target's clock moved against the agent's monotonic one since the last look, in milliseconds.
    #[serde(default)]
    #[garde(skip)]
    pub clock_jump_ms: i64,
}

/// Answer to an observation: what is wanted of each session named in it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intents {
    /// What is wanted.
    pub intents: Vec<SessionIntent>,
    /// Sessions that the ledger does not know.
    pub unknown: Vec<SessionId>,
}

/// What is wanted of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionIntent {
    /// The session.
    pub session_id: SessionId,
    /// What is wanted.
    pub desired: Desired,
    /// Its generation.
    pub generation: i64,
}
