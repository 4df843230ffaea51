//! What an audit event holds, and the bytes of it that are hashed.
//!
//! An event is written once as canonical bytes (JSON, fixed field order, texts and integers only) and never
//! re-encoded: the bytes stored are the bytes hashed.

use serde::{Deserialize, Serialize};

use crate::ids::EventId;

/// What happened. The words are part of the log and never change their meaning. A word is a `tt`: as a `literal` it would
/// reach the derives wrapped up, and the OpenAPI document would show the variant.
macro_rules! actions {
    ($($variant:ident = $word:tt, $doc:literal;)*) => {
        /// What an audit event says happened. A word never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum AuditAction { $(#[doc = $doc] #[serde(rename = $word)] $variant,)* }
        impl AuditAction {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// The word in the log.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)* } }
        }
    };
}

actions! {
    SessionRequested = "session.requested", "A session was asked for and policy allowed it.";
    SessionDenied = "session.denied", "A session was asked for and policy refused it.";
    SessionCreated = "session.created", "An agent made the role; the credential can be opened.";
    SessionFailed = "session.failed", "The role could not be made; what there is gets removed.";
    SessionExtended = "session.extended", "The end was moved, within policy.";
    SessionCredentialRead = "session.credential_read", "The requester was given the credential.";
    SessionEnding = "session.ending", "Somebody or the clock wants the session gone.";
    SessionCut = "session.cut", "The login is off and no connection is left, seen twice.";
    SessionCleaned = "session.cleaned", "The role is gone, with nothing left behind.";
    SessionQuarantined = "session.quarantined", "The role is harmless but could not be dropped.";
    SessionResurrected = "session.resurrected", "A role that should be gone was seen able to log in.";
    SessionLost = "session.lost", "A role that should exist was not there.";
    OrphanSeen = "orphan.seen", "A role of our pattern was seen that the ledger does not know.";
    TokenCreated = "token.created", "A token was made.";
    TokenRevoked = "token.revoked", "A token was revoked.";
    ActorDisabled = "actor.disabled", "An actor was disabled; their sessions end.";
    AgentEnrolled = "agent.enrolled", "An agent was given a token and its targets.";
    AgentCertified = "agent.certified", "An agent was given a certificate: at its enrolment, or in place of one that ends.";
    AgentRevoked = "agent.revoked", "An agent's tokens and certificates were revoked.";
    AgentDraining = "agent.draining", "An agent is given no new sessions from here on.";
    AgentResumed = "agent.resumed", "An agent is given new sessions again.";
    AgentRefused = "agent.refused", "An agent did what it may not.";
    AccessRefused = "access.refused", "A call was refused for who made it.";
    CleanupRun = "cleanup.run", "Somebody asked for clean-up now.";
    ClockJump = "clock.jump", "A target's clock moved against the passing of time.";
    AuditKeyRotated = "audit.key_rotated", "Another key signs the log from here on.";
    AuditRegression = "audit.regression", "The log went back behind what was witnessed; nothing is granted until somebody looked.";
    LedgerBehind = "ledger.behind", "The ledger is older than what was seen outside of it; nothing is granted until somebody accepts it.";
    LedgerAccepted = "ledger.accepted", "Somebody took a ledger that went back as it is.";
    LogHeartbeat = "log.heartbeat", "Nothing happened; silence is made visible.";
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was refused.
    Denied,
    /// It was tried and failed.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Ok, Self::Denied, Self::Failed];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// One event, in the field order of its canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditEvent {
    /// Format of these bytes; 1 for now.
    pub v: u32,
    /// The event's own id.
    pub id: EventId,
    /// Tenant it belongs to.
    pub tenant: String,
    /// When, by the ledger's clock: RFC 3339, UTC, microseconds.
    pub at: String,
    /// Who: the actor's name, `agent:NAME` or `system`.
    pub actor: String,
    /// What happened.
    pub action: AuditAction,
    /// What it happened to, mostly a session id.
    pub object: String,
    /// How it went.
    pub outcome: Outcome,
    /// Correlation id of the request or job; empty for the system's own acts.
    pub request: String,
    /// More facts, as sorted pairs of texts.
    pub facts: Vec<(String, String)>,
}

impl AuditEvent {
    /// The bytes that are stored and hashed.
    #[must_use]
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).expect("an event holds only texts and integers")
    }
}
