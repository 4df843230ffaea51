//! Every attack on a log is found under its name, and an honest log passes.

use super::*;
use crate::audit::fixture::{Signer, log};

fn check(records: &[AuditRecord], known: Option<Head>) -> Result<Head, AuditFinding> {
    run(Verifier::from_start(known), records)
}

fn run(mut verifier: Verifier, records: &[AuditRecord]) -> Result<Head, AuditFinding> {
    records.iter().try_for_each(|record| verifier.take(record))?;
    verifier.finish()
}

/// A check as `gk audit verify` makes it: witnesses, the log's own checkpoint, the records.
fn verify(witness: &SealedHead, own: Option<&SealedHead>, records: &[AuditRecord]) -> Result<Head, AuditFinding> {
    let mut trust = Trust::default();
    let seen = trust.open(witness)?;
    trust.learn(&seen);
    let own = trust.open_own(own)?;
    let own = own.map(|own| Anchor::from(&own.checkpoint));
    run(Verifier::against(vec![Anchor::from(&seen.checkpoint)], own), records)
}

#[test]
fn a_whole_log_verifies_and_an_edit_a_swap_a_gap_a_cut_and_a_rewrite_are_found() {
    let good = log(6, "dana");
    let head = check(&good, None).expect("is whole");
    assert_eq!(head.size, 6);
    let mut edited = good.clone();
    edited[2].event = edited[2].event.replace("dana", "mala");
    assert_eq!(check(&edited, None), Err(AuditFinding::Altered { seq: 3 }));
    let mut unlinked = edited.clone();
    let prev = Hash::from_hex(&edited[2].prev_hash).expect("is hex");
    unlinked[2].hash = link_hash(prev, 3, leaf_hash(&edited[2].event)).to_string();
    assert_eq!(check(&unlinked, None), Err(AuditFinding::BrokenLink { seq: 4 }));
    let mut swapped = good.clone();
    swapped.swap(1, 2);
    assert_eq!(check(&swapped, None), Err(AuditFinding::OutOfOrder { seq: 2, found: 3 }));
    let mut gap = good.clone();
    gap.remove(3);
    assert_eq!(check(&gap, None), Err(AuditFinding::OutOfOrder { seq: 4, found: 5 }));
    assert_eq!(check(&good[..4], Some(head)), Err(AuditFinding::Cut { size: 4, known: 6 }));
    let other = Head { hash: Hash::genesis(), ..head };
    assert_eq!(check(&good, Some(other)), Err(AuditFinding::Rewritten { seq: 6 }));
}

#[test]
fn an_honest_log_continues_what_its_witness_saw_over_a_rotation_of_its_key() {
    let records = log(9, "dana");
    let mut signer = Signer::new(1);
    let witness = signer.seal(&records[..4]);
    assert_eq!(verify(&witness, Some(&signer.seal(&records[..9])), &records).map(|head| head.size), Ok(9));
    signer.rotate(2, 6);
    // More events than the checkpoint covers are no fault.
    assert_eq!(verify(&witness, Some(&signer.seal(&records[..8])), &records).map(|head| head.size), Ok(9));
    // Nor is a witness that saw more keys than an old export.
    let older = SealedHead { epochs: signer.epochs[..1].to_vec(), ..Signer::new(1).seal(&records[..5]) };
    assert_eq!(verify(&signer.seal(&records[..8]), Some(&older), &records).map(|head| head.size), Ok(9));
}

#[test]
fn a_rebuilt_chain_is_rewritten_and_with_the_real_keys_signature_it_is_a_fork() {
    let (real, forged) = (log(9, "dana"), log(9, "mala"));
    let signer = Signer::new(1);
    let witness = signer.seal(&real[..4]);
    // The database's owner cannot sign, and shows the last real checkpoint.
    let shown = signer.seal(&real);
    assert_eq!(verify(&witness, Some(&shown), &forged), Err(AuditFinding::Rewritten { seq: 4 }));
    assert_eq!(verify(&witness, Some(&signer.seal(&forged)), &forged), Err(AuditFinding::Forked { seq: 4 }));
    // Rewritten only behind the witness: the log's own signature tells.
    let mixed: Vec<_> = real[..4].iter().chain(&forged[4..]).cloned().collect();
    assert!(matches!(verify(&witness, Some(&shown), &mixed), Err(AuditFinding::BrokenLink { seq: 5 })));
}

#[test]
fn a_log_cut_below_its_witness_or_below_its_own_checkpoint_is_found() {
    let records = log(9, "dana");
    let signer = Signer::new(1);
    let (witness, own) = (signer.seal(&records[..6]), signer.seal(&records));
    let older = signer.seal(&records[..3]);
    assert_eq!(verify(&witness, Some(&older), &records[..3]), Err(AuditFinding::Cut { size: 3, known: 6 }));
    assert_eq!(verify(&witness, Some(&own), &records[..7]), Err(AuditFinding::Cut { size: 7, known: 9 }));
    assert_eq!(verify(&witness, Some(&older), &[]), Err(AuditFinding::Cut { size: 0, known: 6 }));
}

#[test]
fn no_signature_another_key_another_log_and_a_broken_signature_have_names() {
    let records = log(9, "dana");
    let signer = Signer::new(1);
    let witness = signer.seal(&records[..4]);
    assert_eq!(verify(&witness, None, &records), Err(AuditFinding::Downgraded { seq: 4 }));
    let bare = SealedHead { checkpoint: signer.checkpoint(&records).note().to_string(), epochs: vec![] };
    assert_eq!(verify(&witness, Some(&bare), &records), Err(AuditFinding::Downgraded { seq: 4 }));
    let swapped = Signer::new(7).seal(&records);
    assert_eq!(verify(&witness, Some(&swapped), &records), Err(AuditFinding::UnknownKey { seq: 9 }));
    // The right epochs, and a checkpoint that another key signed.
    let lied = SealedHead { epochs: signer.epochs.clone(), ..swapped };
    assert_eq!(verify(&witness, Some(&lied), &records), Err(AuditFinding::UnknownKey { seq: 9 }));
    let altered = SealedHead { checkpoint: witness.checkpoint.replacen("\n4\n", "\n5\n", 1), ..witness.clone() };
    assert_eq!(verify(&witness, Some(&altered), &records), Err(AuditFinding::BadSignature { seq: 5 }));
    let other = Signer { origin: LogOrigin::of_log("other").expect("is an id"), ..Signer::new(1) };
    let finding = verify(&witness, Some(&other.seal(&records)), &records).expect_err("is of another log");
    assert_eq!(finding.kind(), "wrong_origin");
}

#[test]
fn a_pinned_key_is_believed_with_those_it_introduced_and_no_other() {
    let records = log(3, "dana");
    let mut signer = Signer::new(1);
    let trust = Trust::pin(signer.chain().newest().expect("has one").key.clone());
    signer.rotate(2, 0);
    assert!(trust.open(&signer.seal(&records)).is_ok());
    let finding = trust.open(&Signer::new(7).seal(&records)).expect_err("is another key");
    assert_eq!(finding, AuditFinding::UnknownKey { seq: 3 });
    assert_eq!(trust.open_own(None).expect_err("was signed").kind(), "downgraded");
    assert_eq!(Trust::default().open_own(None), Ok(None));
}

#[test]
fn a_key_chain_that_forks_from_the_one_seen_is_not_believed() {
    let records = log(9, "dana");
    let (mut seen, mut other) = (Signer::new(1), Signer::new(1));
    seen.rotate(2, 4);
    other.rotate(3, 4);
    let finding = verify(&seen.seal(&records[..5]), Some(&other.seal(&records)), &records);
    assert_eq!(finding, Err(AuditFinding::UnknownKey { seq: 9 }));
}

#[test]
fn every_kind_of_finding_has_its_own_word() {
    let kinds = [
        AuditFinding::OutOfOrder { seq: 1, found: 2 },
        AuditFinding::BrokenLink { seq: 1 },
        AuditFinding::Altered { seq: 1 },
        AuditFinding::Unreadable { seq: 1 },
        AuditFinding::Cut { size: 1, known: 2 },
        AuditFinding::Rewritten { seq: 1 },
        AuditFinding::Forked { seq: 1 },
        AuditFinding::BadSignature { seq: 1 },
        AuditFinding::UnknownKey { seq: 1 },
        AuditFinding::WrongOrigin { found: String::new(), known: String::new() },
        AuditFinding::Downgraded { seq: 1 },
        AuditFinding::NoAnchor {},
    ];
    let words: std::collections::HashSet<_> = kinds.iter().map(AuditFinding::kind).collect();
    assert_eq!(words.len(), kinds.len());
    assert_eq!(AuditFinding::Cut { size: 1, known: 2 }.seq(), Some(2));
}
