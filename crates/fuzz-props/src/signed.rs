//! A log with a key that is known, for the properties of what is signed. Made once.

use std::sync::LazyLock;

use gk_shared::audit::epoch::first_epoch;
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::tree::Frontier;
use gk_shared::audit::{
    AuditAction, AuditEvent, AuditRecord, Checkpoint, Hash, Head, LogOrigin, Outcome, SealedHead, Trust, leaf_hash,
    link_hash,
};
use gk_shared::ids::EventId;
use zeroize::Zeroizing;

/// How many events the log has.
pub(crate) const EVENTS: u8 = 12;

/// A log of [`EVENTS`] events and its signed end.
pub(crate) struct Signed {
    pub(crate) records: Vec<AuditRecord>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) sealed: SealedHead,
    /// Believes the log's key alone.
    pub(crate) trust: Trust,
}

pub(crate) static LOG: LazyLock<Signed> = LazyLock::new(|| {
    let origin = LogOrigin::of_log("01k9x").expect("is an id");
    let key = SigningKey::from_seed(Zeroizing::new([7; 32]));
    let (records, head, tree) = records();
    let checkpoint = Checkpoint { origin, head, root: tree.root(), epoch: 1 };
    let name = checkpoint.origin.as_str();
    let note = checkpoint.note().signed(name, &key);
    let epochs = vec![first_epoch(&checkpoint.origin, &key, 0).to_string()];
    let trust = Trust::pin(key.verifier(name));
    let sealed = SealedHead { checkpoint: note.to_string(), epochs };
    Signed { records, checkpoint, sealed, trust }
});

fn records() -> (Vec<AuditRecord>, Head, Frontier) {
    let (mut head, mut tree) = (Head::empty(), Frontier::default());
    let records = (1..=EVENTS).map(|n| {
        let event = event(n).canonical();
        let (leaf, seq) = (leaf_hash(&event), i64::from(n));
        let hash = link_hash(head.hash, seq, leaf);
        let record = AuditRecord { seq, prev_hash: head.hash.to_string(), hash: hash.to_string(), event };
        head = Head { size: seq, hash };
        tree.push(leaf, |_| {});
        record
    });
    (records.collect(), head, tree)
}

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

/// A leaf that is no event's.
pub(crate) fn leaf(n: u8) -> Hash {
    leaf_hash(&n.to_string())
}
