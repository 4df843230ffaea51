//! A witness against honest and dishonest control planes.

use gk_shared::audit::epoch::first_epoch;
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::tree::{Frontier, NodeId, consistency_proof};
use gk_shared::audit::{Hash, Head, LogOrigin, leaf_hash, link_hash};
use zeroize::Zeroizing;

use super::*;

/// The answer for a log of `size` events that differ from `fork` on, with proof from `from`.
fn answer(seed: u8, size: u8, fork: u8, from: u64) -> audit::Checkpoint {
    let key = SigningKey::from_seed(Zeroizing::new([seed; 32]));
    let origin = LogOrigin::of_log("witnessed").expect("is an id");
    let (mut tree, mut head, mut nodes) = (Frontier::default(), Head::empty(), std::collections::HashMap::new());
    for n in 0..size {
        let leaf = leaf_hash(&format!("event {n} {}", n >= fork));
        nodes.insert(NodeId { level: 0, index: n.into() }, leaf);
        tree.push(leaf, |(id, hash)| {
            nodes.insert(id, hash);
        });
        head = Head { size: head.size + 1, hash: link_hash(head.hash, head.size + 1, leaf) };
    }
    let root = tree.root();
    let note = Checkpoint { origin: origin.clone(), head, root, epoch: 1 }.note().signed(origin.as_str(), &key);
    let proof = consistency_proof(from, size.into(), |id| nodes.get(&id).copied());
    audit::Checkpoint {
        origin: origin.to_string(),
        size: head.size,
        hash: head.hash.to_string(),
        root: Some(root.to_string()),
        at: None,
        note: Some(note.to_string()),
        epochs: vec![first_epoch(&origin, &key, 0).to_string()],
        consistency: proof.map(|proof| proof.iter().map(Hash::to_string).collect()),
    }
}

const HONEST: u8 = u8::MAX;

fn kind(taken: Result<(), AuditFinding>) -> &'static str {
    taken.map_or_else(|finding| finding.kind(), |()| "taken")
}

#[test]
fn what_continues_is_kept_over_a_restart_and_what_does_not_is_evidence() {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().join("state");
    let open = || Witness::open(Some(&dir));
    let mut witness = open();
    assert_eq!((witness.held(), witness.size()), (None, 0));
    assert_eq!(kind(witness.take(&answer(1, 3, HONEST, 0))), "taken");
    let mut witness = open();
    assert_eq!(witness.size(), 3);
    assert_eq!(kind(witness.take(&answer(1, 7, HONEST, 3))), "taken");
    let held = open().held().expect("is kept");
    let rows = [
        ("cut", answer(1, 5, HONEST, 5)),
        ("forked", answer(1, 7, 4, 7)),
        ("forked", answer(1, 9, 4, 7)),
        ("forked", audit::Checkpoint { consistency: None, ..answer(1, 9, HONEST, 7) }),
        ("unknown_key", answer(2, 9, HONEST, 7)),
        ("downgraded", audit::Checkpoint { note: None, ..answer(1, 9, HONEST, 7) }),
        ("downgraded", unsigned(answer(1, 9, HONEST, 7))),
    ];
    for (expected, lie) in rows {
        let mut witness = open();
        assert_eq!(kind(witness.take(&lie)), expected);
        assert_eq!((witness.held(), open().held()), (Some(held.clone()), Some(held.clone())), "{expected}");
    }
    let evidence = |name: &str| std::fs::read_to_string(dir.join(name)).expect("is kept");
    assert_eq!(evidence("audit-evidence-first.json").trim_end(), answer(1, 5, HONEST, 5).sealed().expect("is").line());
    assert!(dir.join("audit-evidence-last.json").exists());
    // The truth goes on.
    assert_eq!(kind(witness.take(&answer(1, 9, HONEST, 7))), "taken");
}

fn unsigned(answer: audit::Checkpoint) -> audit::Checkpoint {
    let note = answer.note.as_deref().and_then(|note| note.split_once("\n\n")).map(|(body, _)| format!("{body}\n"));
    audit::Checkpoint { note, ..answer }
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_not_believed_either() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("file");
    std::fs::write(&file, "no directory").expect("is written");
    let mut witness = Witness::open(Some(&file.join("state")));
    assert_eq!(kind(witness.take(&answer(1, 3, HONEST, 0))), "taken");
    assert_eq!(witness.held(), None);
}

#[test]
fn a_log_that_was_never_signed_is_not_witnessed() {
    let mut witness = Witness::open(None);
    assert_eq!(kind(witness.take(&audit::Checkpoint { note: None, ..answer(1, 3, HONEST, 0) })), "taken");
    assert_eq!(witness.held(), None);
    assert_eq!(kind(witness.take(&answer(1, 3, HONEST, 0))), "taken");
    assert_eq!(witness.size(), 3);
}
