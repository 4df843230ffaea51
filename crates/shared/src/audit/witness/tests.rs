//! A witness goes forward only, along one history and one line of keys.

use super::*;
use crate::audit::fixture::{Signer, log, proof};

fn held(signer: &Signer, new: &SealedHead, from: &SealedHead, proof: &[Hash]) -> Result<Advance, AuditFinding> {
    assert!(!signer.epochs.is_empty());
    advance(&Trust::default(), Some(from), new, Some(proof))
}

#[test]
fn the_first_checkpoint_is_kept_and_a_longer_one_with_its_proof_follows() {
    let records = log(9, "dana");
    let mut signer = Signer::new(1);
    let first = signer.seal(&records[..4]);
    assert!(matches!(advance(&Trust::default(), None, &first, None), Ok(Advance::Keep(_))));
    assert!(matches!(held(&signer, &first, &first, &[]), Ok(Advance::Same(_))));
    let next = signer.seal(&records);
    let step = held(&signer, &next, &first, &proof(&records, 4)).expect("is longer");
    assert_eq!(step.opened().checkpoint.head.size, 9);
    signer.rotate(2, 4);
    assert!(matches!(held(&signer, &signer.seal(&records[..4]), &first, &[]), Ok(Advance::Keep(_))), "a new key");
    assert!(matches!(held(&signer, &signer.seal(&records), &first, &proof(&records, 4)), Ok(Advance::Keep(_))));
}

#[test]
fn a_smaller_log_a_fork_a_missing_proof_and_a_retired_key_are_refused() {
    let (real, forged) = (log(9, "dana"), log(9, "mala"));
    let mut signer = Signer::new(1);
    let first = signer.seal(&real[..4]);
    let shorter = signer.seal(&real[..3]);
    assert_eq!(held(&signer, &shorter, &first, &[]), Err(AuditFinding::Cut { size: 3, known: 4 }));
    let fork = signer.seal(&forged);
    assert_eq!(held(&signer, &fork, &first, &proof(&forged, 4)), Err(AuditFinding::Forked { seq: 4 }));
    assert_eq!(held(&signer, &signer.seal(&forged[..4]), &first, &[]), Err(AuditFinding::Forked { seq: 4 }));
    assert_eq!(held(&signer, &signer.seal(&real), &first, &[]), Err(AuditFinding::Forked { seq: 4 }));
    let without = advance(&Trust::default(), Some(&first), &signer.seal(&real), None);
    assert_eq!(without, Err(AuditFinding::Forked { seq: 4 }));
    let old_keys = signer.seal(&real);
    signer.rotate(2, 4);
    let rotated = signer.seal(&real[..4]);
    assert_eq!(held(&signer, &old_keys, &rotated, &proof(&real, 4)), Err(AuditFinding::Forked { seq: 4 }));
}

#[test]
fn two_keys_that_the_same_key_introduced_are_not_both_believed() {
    let records = log(9, "dana");
    let (mut signer, mut forked) = (Signer::new(1), Signer::new(1));
    signer.rotate(2, 4);
    forked.rotate(3, 4);
    let seen = signer.seal(&records[..4]);
    assert_eq!(
        held(&forked, &forked.seal(&records), &seen, &proof(&records, 4)),
        Err(AuditFinding::UnknownKey { seq: 9 })
    );
    assert_eq!(held(&forked, &forked.seal(&records[..4]), &seen, &[]), Err(AuditFinding::UnknownKey { seq: 4 }));
}
