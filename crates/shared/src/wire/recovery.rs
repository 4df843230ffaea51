//! A ledger that is older than what was seen outside of it: what shows that, and taking it as it is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SessionId;
use crate::names::TargetName;

/// Whether the control plane grants anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerMode {
    /// It does.
    #[default]
    Normal,
    /// It ends sessions and makes none: something outside is ahead of the ledger.
    Observe,
}

/// `GET /v1/recovery`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Whether anything is granted.
    pub mode: LedgerMode,
    /// What shows that the ledger went back, and is not accepted.
    pub findings: Vec<RecoveryFinding>,
    /// Sessions on targets that the ledger does not know (1000 at most). Each is left until its own end.
    pub unknown: Vec<UnknownSession>,
}

/// One thing that is ahead of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryFinding {
    /// `audit_regression`, `generation_ahead` or `unknown_session`.
    pub cause: String,
    /// What was found, and who says so.
    pub detail: String,
    /// Since when nothing is granted.
    pub found_at: Timestamp,
}

/// A session that a target knows and the ledger does not.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnknownSession {
    /// Where it is.
    pub target: TargetName,
    /// Its role.
    pub role_name: String,
    /// The session that the role's name stands for.
    pub session_id: SessionId,
    /// Whether it can log in.
    pub armed: bool,
    /// Its connections.
    pub backends: i64,
    /// Its own end, by which it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// Whether it is being ended before that.
    pub ending: bool,
}

/// `POST /v1/recovery/accept`: takes the ledger as it is.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptRecovery {
    /// Why; it is kept in the audit log.
    #[garde(skip)]
    pub reason: String,
    /// Ends the sessions that the ledger does not know, instead of leaving them until their own end.
    #[serde(default)]
    #[garde(skip)]
    pub end_unknown: bool,
}

/// Answer: what was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedRecovery {
    /// Findings that were open.
    pub findings: usize,
    /// Unknown sessions that are being ended.
    pub ending: usize,
}
