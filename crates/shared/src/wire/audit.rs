//! The audit log over HTTP.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::AuditRecord;

/// `GET /v1/audit/events`: in order of `seq`. Query: `after` (seq, default 0), `limit` 1..1000 (100), `wait=10s` for a
/// tail that has nothing new yet; filters `session`, `actor`, `action` (a filtered answer cannot be verified).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditPage {
    /// The events.
    pub events: Vec<AuditRecord>,
    /// Pass as `after` for the next page.
    pub next_after: i64,
    /// Whether there is more right now.
    pub more: bool,
    /// Events that are written and not linked yet.
    pub unsealed: i64,
}

/// `GET /v1/audit/checkpoints`: where the log stands. Signatures come with a later version; the field is reserved.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Number of linked events.
    pub size: i64,
    /// Hash of the last link, hex.
    pub hash: String,
    /// When the last link was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Signature over origin, size and hash, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}
