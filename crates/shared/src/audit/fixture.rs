//! A log of a few events with its keys, for the tests of this folder.

use zeroize::Zeroizing;

use super::epoch::first_epoch;
use super::note::SigningKey;
use super::tree::{Frontier, NodeId, consistency_proof};
use super::*;
use crate::ids::EventId;

pub(super) fn event(n: u8, actor: &str) -> AuditEvent {
    AuditEvent {
        v: 1,
        id: EventId::from_parts(1_700_000_000_000, [n; 10]),
        tenant: "default".into(),
        at: "2026-11-22T01:02:03.000004Z".into(),
        actor: actor.into(),
        action: AuditAction::SessionRequested,
        object: "sess_x".into(),
        outcome: Outcome::Ok,
        request: "req_y".into(),
        facts: vec![("reason".into(), "say \"hi\" – ünï".into())],
    }
}

/// A whole log of `len` events, all by `actor`.
pub(super) fn log(len: u8, actor: &str) -> Vec<AuditRecord> {
    let mut prev = Hash::genesis();
    (1..=len)
        .map(|n| {
            let canonical = event(n, actor).canonical();
            let hash = link_hash(prev, n.into(), leaf_hash(&canonical));
            let (seq, prev_hash) = (n.into(), prev.to_string());
            prev = hash;
            AuditRecord { seq, prev_hash, hash: hash.to_string(), event: canonical }
        })
        .collect()
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([seed; 32]))
}

pub(super) fn origin() -> LogOrigin {
    LogOrigin::of_log("01k9x").expect("is an id")
}

/// A signer with its keys so far.
pub(super) struct Signer {
    pub(super) origin: LogOrigin,
    pub(super) keys: Vec<SigningKey>,
    pub(super) epochs: Vec<String>,
}

impl Signer {
    pub(super) fn new(seed: u8) -> Self {
        let (origin, key) = (origin(), key(seed));
        let epochs = vec![first_epoch(&origin, &key, 0).to_string()];
        Self { origin, keys: vec![key], epochs }
    }

    pub(super) fn chain(&self) -> KeyChain {
        KeyChain::follow(&self.origin, &self.epochs).expect("is whole")
    }

    /// Goes on with another key from this size on.
    pub(super) fn rotate(&mut self, seed: u8, starts: i64) {
        let new = key(seed);
        let note = self.chain().next(self.keys.last().expect("has one"), &new, starts).expect("is the key of now");
        self.epochs.push(note.to_string());
        self.keys.push(new);
    }

    pub(super) fn checkpoint(&self, records: &[AuditRecord]) -> Checkpoint {
        let mut tree = Frontier::default();
        records.iter().for_each(|record| tree.push(leaf_hash(&record.event), |_| {}));
        let hash = records.last().map_or_else(Hash::genesis, |last| Hash::from_hex(&last.hash).expect("is hex"));
        let head = Head { size: i64::try_from(records.len()).expect("is small"), hash };
        let epoch = u32::try_from(self.epochs.len()).expect("is small");
        Checkpoint { origin: self.origin.clone(), head, root: tree.root(), epoch }
    }

    pub(super) fn seal(&self, records: &[AuditRecord]) -> SealedHead {
        let note = self.checkpoint(records).note();
        let note = note.signed(self.origin.as_str(), self.keys.last().expect("has one"));
        SealedHead { checkpoint: note.to_string(), epochs: self.epochs.clone() }
    }
}

/// Proof from `from` to all of `records`.
pub(super) fn proof(records: &[AuditRecord], from: u64) -> Vec<Hash> {
    let (mut tree, mut nodes) = (Frontier::default(), std::collections::HashMap::new());
    for (index, record) in (0..).zip(records) {
        let leaf = leaf_hash(&record.event);
        nodes.insert(NodeId { level: 0, index }, leaf);
        tree.push(leaf, |(id, hash)| assert_eq!(nodes.insert(id, hash), None));
    }
    consistency_proof(from, tree.size(), |id| nodes.get(&id).copied()).expect("is whole")
}
