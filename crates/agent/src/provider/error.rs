//! Why a target did not do what it was asked, sorted by what the worker does next.
//!
//! Always holds: the text of an error names things and never holds a password, a verifier or a statement.

use std::fmt;

use gk_shared::problem::ErrorCode;

/// Kinds of failure: each has one next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No connection, or it broke.
    Unreachable,
    /// Locks, connections or memory are short at the moment.
    Busy,
    /// The session is ended where it is written, and another server of the target has not shown it yet.
    Unproven,
    /// The target has seen a higher generation, or the session's end: the job is old.
    Fenced,
    /// The lease was over before the act came into force.
    PastLease,
    /// The role pack is not registered, has another digest, or reaches too much.
    PackRefused,
    /// A role of that name is there and is not ours.
    ForeignRole,
    /// Our role was replaced by somebody else's.
    RoleReplaced,
    /// The helpers are not there, are of another version, or may not be called.
    HelpersMissing,
    /// More was asked for than the role pack allows on the target.
    OverLimit(Limit),
    /// The target refused the request as it is.
    Refused,
}

/// What a role pack limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Connections at once.
    Connections,
    /// How long a session lives.
    Time,
}

impl Failure {
    /// Whether the same call may go through in a moment.
    #[must_use]
    pub const fn passes(self) -> bool {
        match self {
            Self::Unreachable | Self::Busy | Self::Unproven => true,
            Self::Fenced
            | Self::PastLease
            | Self::PackRefused
            | Self::ForeignRole
            | Self::RoleReplaced
            | Self::HelpersMissing
            | Self::OverLimit(_)
            | Self::Refused => false,
        }
    }

    /// What the control plane is told; `None` where the job is somebody else's by now and nothing is to be said.
    #[must_use]
    pub const fn code(self) -> Option<ErrorCode> {
        match self {
            Self::Unreachable => Some(ErrorCode::TargetUnreachable),
            Self::Busy => Some(ErrorCode::TargetBusy),
            Self::Unproven => Some(ErrorCode::EndUnproven),
            Self::Fenced | Self::PastLease => None,
            Self::PackRefused => Some(ErrorCode::PackRefused),
            Self::ForeignRole => Some(ErrorCode::ForeignRole),
            Self::RoleReplaced => Some(ErrorCode::RoleReplaced),
            Self::HelpersMissing => Some(ErrorCode::HelpersMissing),
            Self::OverLimit(Limit::Connections) => Some(ErrorCode::InvalidRequest),
            Self::OverLimit(Limit::Time) => Some(ErrorCode::InvalidTtl),
            Self::Refused => Some(ErrorCode::MintFailed),
        }
    }
}

/// A failure with its story.
#[derive(Debug)]
pub struct ProviderError {
    failure: Failure,
    message: String,
}

impl ProviderError {
    /// A failure of this kind.
    pub fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, message: message.into() }
    }

    /// Its kind.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        self.failure
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for ProviderError {}
