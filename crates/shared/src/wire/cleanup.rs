//! Clean-up: is anything left that should be gone?

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SessionId;
use crate::names::TargetName;
use crate::session::SessionStatus;

/// `GET /v1/cleanup`: findings, and targets that nobody could look at. Query: `target`, `maxLag=2m`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanupReport {
    /// Targets looked at.
    pub targets: Vec<CleanupTarget>,
    /// What was found.
    pub findings: Vec<CleanupFinding>,
}

/// A target, and when it was last looked at.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanupTarget {
    /// The target.
    pub target: TargetName,
    /// When an agent last sent all that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// Whether that is recent enough (15 s) to say anything.
    pub looked: bool,
    /// Roles of ours there.
    pub roles: i64,
}

/// A role that should be gone, or harmless and not gone yet.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanupFinding {
    /// Where.
    pub target: TargetName,
    /// The role.
    pub role_name: String,
    /// Its session.
    pub session_id: SessionId,
    /// Where the session stands; absent for a role that the ledger does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SessionStatus>,
    /// How long it has been past its end, in seconds.
    pub overdue_seconds: i64,
    /// Whether it can log in or has connections: then it is a danger, else only a leftover.
    pub dangerous: bool,
    /// What is known, and how to mend it.
    pub detail: String,
}

/// `POST /v1/cleanup/run`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunCleanup {
    /// Only this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    pub target: Option<TargetName>,
    /// Only say what would be done.
    #[serde(default)]
    #[garde(skip)]
    pub dry_run: bool,
}

/// Answer: the sessions whose end was queued again, at once.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanupStarted {
    /// Sessions whose end was queued (or would be).
    pub sessions: Vec<SessionId>,
    /// Whether it was only a dry run.
    pub dry_run: bool,
}
