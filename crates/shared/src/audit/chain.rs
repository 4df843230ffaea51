//! The chain: each link's hash covers its event, its place and all before it.
//!
//! `leaf = SHA-256(0x00 || bytes)`, as in RFC 6962, so that [`super::tree`] lies over the same leaves;
//! `hash = SHA-256(0x02 || prev || seq as 8 bytes || leaf)`. Order is by `seq`, never by clock.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256 value, printed as hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first event links to.
    #[must_use]
    pub fn genesis() -> Self {
        Self(Sha256::digest(b"gatekeeper/audit/v1").into())
    }

    /// Reads 64 lower-case hex digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            0..=b'/' | b':'..=b'`' | b'g'..=u8::MAX => None,
        };
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (to, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *to = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&crate::seal::hex(&self.0))
    }
}

/// Hash of an event's canonical bytes.
#[must_use]
pub fn leaf_hash(canonical: &str) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(canonical).finalize().into())
}

/// Hash of a link: this event, its place, and all before it.
#[must_use]
pub fn link_hash(prev: Hash, seq: i64, leaf: Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([2])
            .chain_update(prev.0)
            .chain_update(seq.to_be_bytes())
            .chain_update(leaf.0)
            .finalize()
            .into(),
    )
}

/// One line of an export, and one element of `GET /v1/audit/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// Place in the log, from 1, without gaps.
    pub seq: i64,
    /// Hash of the link before.
    pub prev_hash: String,
    /// Hash of this link.
    pub hash: String,
    /// The event's canonical bytes, exactly as hashed.
    pub event: String,
}

/// Where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of events.
    pub size: i64,
    /// Hash of the last link.
    pub hash: Hash,
}

impl Head {
    /// The head of an empty log.
    #[must_use]
    pub fn empty() -> Self {
        Self { size: 0, hash: Hash::genesis() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::fixture::event;

    /// Golden vectors: a change here is a change of the format, and every log written before would fail.
    #[test]
    fn canonical_bytes_and_hashes_are_fixed() {
        assert_eq!(
            event(1, "dana").canonical(),
            r#"{"v":1,"id":"evt_01HF7YAT00E40R2081040G2081","tenant":"default","at":"2026-11-22T01:02:03.000004Z","actor":"dana","action":"session.requested","object":"sess_x","outcome":"ok","request":"req_y","facts":[["reason","say \"hi\" – ünï"]]}"#
        );
        let leaf = leaf_hash("abc");
        assert_eq!(leaf.to_string(), "609f6e36d2405585188d5cfd761f407c7cc46a7d3f314c88270469dde315fcd1");
        assert_eq!(
            link_hash(Hash::genesis(), 1, leaf).to_string(),
            "d7fea74f0026330cca9f6e753cb8ae2e89f481943856b635b5f7dcf43bac3325"
        );
    }
}
