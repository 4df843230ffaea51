//! The audit log over HTTP.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::{AuditRecord, Hash, SealedHead};

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

/// `GET /v1/audit/checkpoints`: where the log stands, to be kept elsewhere and compared later. Query: `from`, the size
/// of the checkpoint that the caller holds (for a proof that this one continues it), and `fresh=true` for one that
/// covers everything committed by now. With a key it is the newest signed one, else where the log ends.
///
/// Agents call `GET /v1/agent/checkpoint` with the same query and answer.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Number of linked events.
    pub size: i64,
    /// Hash of the last link, hex.
    pub hash: String,
    /// Root of the tree over the events (RFC 6962), hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// When the last link was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// All of this as a signed note; missing where the control plane has no key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The notes of all keys of the log, from the first on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<String>,
    /// Proof that the log continues the one of size `from`, hashes in hex; missing if it is smaller than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Vec<String>>,
}

impl Checkpoint {
    /// What a witness keeps; `None` if nobody signed.
    #[must_use]
    pub fn sealed(&self) -> Option<SealedHead> {
        let checkpoint = self.note.clone()?;
        Some(SealedHead { checkpoint, epochs: self.epochs.clone() })
    }

    /// The proof, ready for [`crate::audit::witness::advance`]; `None` if there is none that can be read.
    #[must_use]
    pub fn proof(&self) -> Option<Vec<Hash>> {
        self.consistency.as_ref()?.iter().map(|hash| Hash::from_hex(hash)).collect()
    }
}
