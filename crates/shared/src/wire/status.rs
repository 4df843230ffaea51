//! The control plane at a glance: `GET /v1/status`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::recovery::LedgerMode;

/// How things are.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The control plane's version.
    pub version: String,
    /// Ledger's clock.
    pub ledger_time: Timestamp,
    /// Whether anything is granted.
    #[serde(default)]
    pub mode: LedgerMode,
    /// Targets that an online agent reaches.
    pub targets_reachable: i64,
    /// All targets.
    pub targets_total: i64,
    /// Agents heard of within 30 s.
    pub agents_online: i64,
    /// All agents.
    pub agents_total: i64,
    /// Sessions that are ready.
    pub sessions_ready: i64,
    /// Sessions that are being made.
    pub sessions_provisioning: i64,
    /// Sessions that are being ended.
    pub sessions_revoking: i64,
    /// Sessions that are harmless and not gone.
    pub sessions_quarantined: i64,
    /// Jobs that wait.
    pub jobs_queued: i64,
    /// Events in the audit log.
    pub audit_size: i64,
    /// Events not linked yet.
    pub audit_unsealed: i64,
    /// The sinks that the control plane which answers delivers the audit log to; shown to admins and auditors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audit_sinks: Vec<SinkStatus>,
}

/// How a sink of the audit log stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SinkStatus {
    /// The sink.
    pub name: String,
    /// Events and checkpoints that it has not got yet.
    pub waiting: i64,
    /// When it last got something, by the ledger's clock; absent if it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
}
