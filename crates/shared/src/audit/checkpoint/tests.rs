//! A checkpoint has one text and reads from no other.

use super::*;
use crate::audit::tree::empty_root;

fn checkpoint() -> Checkpoint {
    let origin = LogOrigin::of_log("01k9x").expect("is an id");
    Checkpoint { origin, head: Head::empty(), root: empty_root(), epoch: 1 }
}

/// Golden: every checkpoint that was ever signed is in this form.
#[test]
fn the_text_of_a_checkpoint_is_fixed() {
    let text = "gatekeeper/01k9x\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\
        chain 4aeb90fc42bab8a5ce2ce4e3e6b4e1ab3bcb9df2f1c4bd4d6a1ea1e47ff4d6be\nepoch 1\n";
    let genesis = Hash::genesis().to_string();
    let text = text.replace("4aeb90fc42bab8a5ce2ce4e3e6b4e1ab3bcb9df2f1c4bd4d6a1ea1e47ff4d6be", &genesis);
    assert_eq!(checkpoint().note().body(), text);
}

#[test]
fn a_checkpoint_reads_back_and_every_other_text_is_refused() {
    let made = Checkpoint { head: Head { size: 4711, hash: Hash([7; 32]) }, ..checkpoint() };
    let note = made.note();
    assert_eq!(Checkpoint::of_note(&note), Ok(made.clone()));
    let body = note.body();
    for (from, to) in [
        ("4711", "04711"),
        ("4711", "+4711"),
        ("4711", "-4711"),
        ("4711", "9223372036854775808"),
        ("gatekeeper/", "other/"),
        ("gatekeeper/01k9x", "gatekeeper/01K9X"),
        ("chain ", "chain  "),
        ("chain ", ""),
        ("epoch 1", "epoch 0"),
        ("epoch 1", "epoch 01"),
        ("epoch 1\n", "epoch 1\nmore\n"),
        ("epoch 1\n", ""),
    ] {
        let bad = Note::unsigned(body.replace(from, to)).expect("is a text");
        assert_eq!(Checkpoint::of_note(&bad), Err(CheckpointError::Malformed), "{from} -> {to}");
    }
}
