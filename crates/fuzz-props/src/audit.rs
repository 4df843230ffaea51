//! Audit records: an event has one text, and a log that was touched anywhere is found out.

use gk_shared::audit::{Anchor, AuditEvent, AuditRecord, Hash, Verifier};

use crate::shape::{Dice, text};
use crate::signed::LOG;

/// An event has one text, and a log that was touched is found out.
pub fn check(bytes: &[u8]) {
    if let Ok(event) = serde_json::from_slice::<AuditEvent>(bytes) {
        let canonical = event.canonical();
        assert_eq!(serde_json::from_str::<AuditEvent>(&canonical).expect("reads back").canonical(), canonical);
        assert!(!canonical.contains('\n'), "an event is one line");
    }
    if let Ok(record) = serde_json::from_slice::<AuditRecord>(bytes) {
        let first = Verifier::from_start(None).take(&record).is_ok();
        assert!(!first || record.seq == 1 && Hash::from_hex(&record.prev_hash) == Some(Hash::genesis()));
    }
    if let Some(hash) = Hash::from_hex(&text(bytes)) {
        assert_eq!(hash.to_string().as_bytes(), bytes);
    }
    touched(&mut Dice(bytes));
}

/// The log with something done to it, against its own checkpoint as a witness holds it.
fn touched(dice: &mut Dice<'_>) {
    let mut records = LOG.records.clone();
    let (at, to) = (dice.below(records.len()), dice.below(records.len()));
    match dice.byte() % 7 {
        0 => drop(records.remove(at)),
        1 => records.swap(at, to),
        2 => records.insert(to, records[at].clone()),
        3 => records.truncate(at),
        4 => records[at].seq = i64::try_from(dice.wide() >> 1).expect("63 bits"),
        5 => put_over(&mut records[at].event, dice),
        _ => put_over(&mut records[at].hash, dice),
    }
    let mut check = Verifier::against(vec![Anchor::from(&LOG.checkpoint)], None);
    let read = records.iter().try_for_each(|record| check.take(record));
    let found = read.err().or_else(|| check.finish().err());
    assert_eq!(found.is_some(), records != LOG.records, "{found:?}");
    if let Some(seq) = found.as_ref().and_then(gk_shared::audit::AuditFinding::seq) {
        let first = records.iter().zip(&LOG.records).position(|(now, before)| now != before).unwrap_or(records.len());
        let first = i64::try_from(first).expect("is small") + 1;
        assert!(seq >= first.min(i64::from(crate::signed::EVENTS)), "{found:?} blames {seq}, touched from {first} on");
    }
}

fn put_over(text: &mut String, dice: &mut Dice<'_>) {
    let mut bytes = text.clone().into_bytes();
    let at = dice.below(bytes.len());
    bytes[at] = dice.byte();
    *text = String::from_utf8_lossy(&bytes).into_owned();
}
