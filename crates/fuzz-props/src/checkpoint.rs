//! Notes, checkpoints and key epochs: one text each, and nothing altered is believed.

use gk_shared::audit::note::{Note, SigningKey, VerifierKey};
use gk_shared::audit::witness::advance;
use gk_shared::audit::{Checkpoint, SealedHead, Trust};

use crate::shape::{Dice, text};
use crate::signed::LOG;

/// One text each, and nothing altered is believed.
pub fn check(bytes: &[u8]) {
    let text = text(bytes);
    a_note(&text);
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    assert!(SigningKey::from_text(&text).is_err() || text.starts_with("gk-audit-key-v1:"));
    if let Ok(sealed) = serde_json::from_slice::<SealedHead>(bytes) {
        assert_eq!(serde_json::from_str::<SealedHead>(&sealed.line()).expect("reads back"), sealed);
        assert!(LOG.trust.open(&sealed).is_err() || sealed == LOG.sealed, "somebody else's signature was believed");
        let unknown = Trust::default().open(&sealed);
        assert!(unknown.is_err() || sealed.checkpoint.starts_with("gatekeeper/"));
    }
    altered(&mut Dice(bytes));
}

fn a_note(text: &str) {
    let Ok(note) = text.parse::<Note>() else { return };
    let again: Note = note.to_string().parse().expect("a note reads back");
    assert_eq!(again, note);
    assert!(text.starts_with(note.body()), "the text that is signed is the text that stands there");
    if let Ok(checkpoint) = Checkpoint::of_note(&note) {
        assert_eq!(checkpoint.note().body(), note.body(), "a checkpoint has one text");
        assert!(checkpoint.head.size >= 0 && checkpoint.epoch >= 1);
    }
}

/// The genuine checkpoint with bytes put over it: either it is what it was, or nobody takes it.
fn altered(dice: &mut Dice<'_>) {
    let mut sealed = LOG.sealed.clone();
    let epoch = dice.byte().is_multiple_of(4);
    let text = if epoch { &mut sealed.epochs[0] } else { &mut sealed.checkpoint };
    let mut raw = text.clone().into_bytes();
    for _ in 0..=dice.byte() % 3 {
        let at = dice.below(raw.len());
        match dice.byte() % 3 {
            0 => raw[at] = dice.byte(),
            1 => drop(raw.remove(at)),
            _ => raw.insert(at, dice.byte()),
        }
    }
    *text = String::from_utf8_lossy(&raw).into_owned();
    match LOG.trust.open(&sealed) {
        Ok(opened) => assert_eq!(opened.checkpoint, LOG.checkpoint, "{sealed:?}"),
        Err(finding) => assert!(!finding.kind().is_empty()),
    }
    let taken = advance(&LOG.trust, Some(&LOG.sealed), &sealed, None);
    assert!(taken.is_err() || taken.is_ok_and(|taken| taken.opened().checkpoint == LOG.checkpoint));
}
