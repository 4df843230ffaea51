//! The audit log's bytes: what is hashed, how links are made, how a log is checked offline.
//!
//! An event is written once as canonical bytes (JSON, fixed field order, strings and integers only) and never
//! re-encoded: the bytes stored are the bytes hashed. `leaf = SHA-256(0x00 || bytes)`, as in RFC 6962, so that a tree
//! can be laid over the same leaves; `hash = SHA-256(0x02 || prev || seq as 8 bytes || leaf)` links each event to all
//! before it. Order is by `seq`, never by clock.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::EventId;

/// What happened. The words are part of the log and never change their meaning.
macro_rules! actions {
    ($($variant:ident = $word:literal, $doc:literal;)*) => {
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
    AgentRefused = "agent.refused", "An agent did what it may not.";
    AccessRefused = "access.refused", "A call was refused for who made it.";
    CleanupRun = "cleanup.run", "Somebody asked for clean-up now.";
    ClockJump = "clock.jump", "A target's clock moved against the passing of time.";
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

/// What a check found, at the first event where it shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditFinding {
    /// An event is missing, or stands elsewhere.
    #[error("gap or re-ordering at seq {seq}: found {found}")]
    OutOfOrder {
        /// Place where another was expected.
        seq: i64,
        /// What stood there.
        found: i64,
    },
    /// The link does not continue the one before it.
    #[error("seq {seq} does not link to the event before it")]
    BrokenLink {
        /// First bad place.
        seq: i64,
    },
    /// The bytes are not those that were hashed.
    #[error("seq {seq} was altered")]
    Altered {
        /// First bad place.
        seq: i64,
    },
    /// A line or a hash cannot be read.
    #[error("seq {seq} cannot be read")]
    Unreadable {
        /// First bad place.
        seq: i64,
    },
    /// The log is shorter than a head seen before.
    #[error("the log ends at {size}, but a head of {known} was seen: the tail was cut")]
    Cut {
        /// Where it ends.
        size: i64,
        /// Where it was known to reach.
        known: i64,
    },
    /// The log does not contain a head seen before.
    #[error("the log was rewritten at or before seq {seq}")]
    Rewritten {
        /// Place of the head known from before.
        seq: i64,
    },
}

/// Checks records one after another, in constant memory.
#[derive(Debug, Clone)]
pub struct Verifier {
    head: Head,
    known: Option<Head>,
}

impl Verifier {
    /// A check from the first event on, against a head known from elsewhere if there is one.
    #[must_use]
    pub fn from_start(known: Option<Head>) -> Self {
        Self { head: Head::empty(), known }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn take(&mut self, record: &AuditRecord) -> Result<(), AuditFinding> {
        let seq = self.head.size + 1;
        if record.seq != seq {
            return Err(AuditFinding::OutOfOrder { seq, found: record.seq });
        }
        let read = |text: &str| Hash::from_hex(text).ok_or(AuditFinding::Unreadable { seq });
        if read(&record.prev_hash)? != self.head.hash {
            return Err(AuditFinding::BrokenLink { seq });
        }
        let hash = link_hash(self.head.hash, seq, leaf_hash(&record.event));
        if read(&record.hash)? != hash {
            return Err(AuditFinding::Altered { seq });
        }
        if self.known.is_some_and(|known| known.size == seq && known.hash != hash) {
            return Err(AuditFinding::Rewritten { seq });
        }
        self.head = Head { size: seq, hash };
        Ok(())
    }

    /// Ends the check.
    ///
    /// # Errors
    /// The log stops before the head known from elsewhere.
    pub fn finish(self) -> Result<Head, AuditFinding> {
        match self.known {
            Some(known) if known.size > self.head.size => {
                Err(AuditFinding::Cut { size: self.head.size, known: known.size })
            }
            Some(_) | None => Ok(self.head),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u8) -> AuditEvent {
        AuditEvent {
            v: 1,
            id: EventId::from_parts(1_700_000_000_000, [n; 10]),
            tenant: "default".into(),
            at: "2026-11-22T01:02:03.000004Z".into(),
            actor: "dana".into(),
            action: AuditAction::SessionRequested,
            object: "sess_x".into(),
            outcome: Outcome::Ok,
            request: "req_y".into(),
            facts: vec![("reason".into(), "say \"hi\" – ünï".into())],
        }
    }
    fn log(len: u8) -> Vec<AuditRecord> {
        let mut prev = Hash::genesis();
        (1..=len)
            .map(|n| {
                let canonical = event(n).canonical();
                let hash = link_hash(prev, n.into(), leaf_hash(&canonical));
                let record = AuditRecord {
                    seq: n.into(),
                    prev_hash: prev.to_string(),
                    hash: hash.to_string(),
                    event: canonical,
                };
                prev = hash;
                record
            })
            .collect()
    }
    fn check(records: &[AuditRecord], known: Option<Head>) -> Result<Head, AuditFinding> {
        let mut verifier = Verifier::from_start(known);
        records.iter().try_for_each(|record| verifier.take(record))?;
        verifier.finish()
    }

    /// Golden vectors: a change here is a change of the format, and every log written before would fail.
    #[test]
    fn canonical_bytes_and_hashes_are_fixed() {
        let bytes = event(1).canonical();
        assert_eq!(
            bytes,
            r#"{"v":1,"id":"evt_01HF7YAT00E40R2081040G2081","tenant":"default","at":"2026-11-22T01:02:03.000004Z","actor":"dana","action":"session.requested","object":"sess_x","outcome":"ok","request":"req_y","facts":[["reason","say \"hi\" – ünï"]]}"#
        );
        let leaf = leaf_hash("abc");
        assert_eq!(leaf.to_string(), "609f6e36d2405585188d5cfd761f407c7cc46a7d3f314c88270469dde315fcd1");
        assert_eq!(
            link_hash(Hash::genesis(), 1, leaf).to_string(),
            "d7fea74f0026330cca9f6e753cb8ae2e89f481943856b635b5f7dcf43bac3325"
        );
    }

    #[test]
    fn a_whole_log_verifies_and_an_edit_a_swap_a_gap_a_cut_and_a_rewrite_are_found() {
        let good = log(6);
        let head = check(&good, None).expect("is whole");
        assert_eq!(head.size, 6);
        let mut edited = good.clone();
        edited[2].event = edited[2].event.replace("dana", "mala");
        assert_eq!(check(&edited, None), Err(AuditFinding::Altered { seq: 3 }));
        let mut swapped = good.clone();
        swapped.swap(1, 2);
        assert_eq!(check(&swapped, None), Err(AuditFinding::OutOfOrder { seq: 2, found: 3 }));
        let mut gap = good.clone();
        gap.remove(3);
        assert_eq!(check(&gap, None), Err(AuditFinding::OutOfOrder { seq: 4, found: 5 }));
        assert_eq!(check(&good[..4], Some(head)), Err(AuditFinding::Cut { size: 4, known: 6 }));
        let mut other = head;
        other.hash = Hash::genesis();
        assert_eq!(check(&good, Some(other)), Err(AuditFinding::Rewritten { seq: 6 }));
    }
}
