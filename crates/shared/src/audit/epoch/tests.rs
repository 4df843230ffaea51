//! Who may introduce a key, and what each may sign.

use super::*;
use crate::audit::fixture::{Signer, key, log, origin};

#[test]
fn a_chain_of_three_keys_is_followed_and_read_back() {
    let mut signer = Signer::new(1);
    signer.rotate(2, 3);
    signer.rotate(3, 3);
    let chain = signer.chain();
    let numbers: Vec<_> = chain.epochs().iter().map(|epoch| (epoch.number, epoch.starts)).collect();
    assert_eq!(numbers, [(1, 0), (2, 3), (3, 3)]);
    assert!(chain.extends(&KeyChain::follow(&origin(), &signer.epochs[..2]).expect("is whole")));
    assert_eq!(chain.next(&key(2), &key(4), 9), None, "a retired key introduces nobody");
    assert_eq!(chain.next(&key(3), &key(4), 2), None, "an epoch does not begin before the one before it");
}

#[test]
fn a_key_that_only_introduces_itself_is_not_followed() {
    let mut signer = Signer::new(1);
    let epoch = Epoch { number: 2, key: key(9).verifier(origin().as_str()), starts: 3 };
    let own_alone = epoch.note(&origin()).signed(origin().as_str(), &key(9));
    signer.epochs.push(own_alone.to_string());
    assert_eq!(KeyChain::follow(&origin(), &signer.epochs), Err(AuditFinding::UnknownKey { seq: 3 }));
    // With the signature of the old key copied from its own epoch.
    let copied = signer.epochs[0].lines().last().expect("has a line").to_owned();
    signer.epochs[1].push_str(&format!("{copied}\n"));
    assert_eq!(KeyChain::follow(&origin(), &signer.epochs), Err(AuditFinding::BadSignature { seq: 3 }));
}

#[test]
fn epochs_out_of_their_order_with_a_gap_or_of_another_log_are_refused() {
    let mut signer = Signer::new(1);
    signer.rotate(2, 3);
    let swapped: Vec<String> = signer.epochs.iter().rev().cloned().collect();
    assert!(matches!(KeyChain::follow(&origin(), &swapped), Err(AuditFinding::UnknownKey { .. })));
    assert!(matches!(KeyChain::follow(&origin(), &signer.epochs[1..]), Err(AuditFinding::UnknownKey { .. })));
    let other = LogOrigin::of_log("other").expect("is an id");
    assert!(matches!(KeyChain::follow(&other, &signer.epochs), Err(AuditFinding::WrongOrigin { .. })));
    assert!(KeyChain::follow(&origin(), &["nonsense".to_owned()]).is_err());
}

#[test]
fn a_retired_key_signs_nothing_behind_its_end_and_a_new_one_nothing_before_its_beginning() {
    let records = log(9, "dana");
    let mut signer = Signer::new(1);
    let sign = |signer: &Signer, size: usize, epoch: u32| {
        let checkpoint = Checkpoint { epoch, ..signer.checkpoint(&records[..size]) };
        let key = &signer.keys[epoch as usize - 1];
        (checkpoint.note().signed(origin().as_str(), key), checkpoint)
    };
    signer.rotate(2, 5);
    for (size, epoch, holds) in [(4, 1, true), (5, 1, true), (6, 1, false), (4, 2, false), (5, 2, true), (9, 2, true)] {
        let (note, checkpoint) = sign(&signer, size, epoch);
        let said = signer.chain().check(&note, &checkpoint);
        let wanted = if holds { Ok(()) } else { Err(AuditFinding::UnknownKey { seq: checkpoint.head.size }) };
        assert_eq!(said, wanted, "{size} {epoch}");
    }
    let third = Checkpoint { epoch: 3, ..signer.checkpoint(&records) };
    assert_eq!(signer.chain().check(&third.note(), &third), Err(AuditFinding::UnknownKey { seq: 9 }));
}
