//! Where sinks stand in the ledger: who delivers, what, and from where on.

use gk_control_plane::notary::{AuditConfig, Notary};
use gk_control_plane::sinks::{Content, SinkName};
use gk_control_plane::store::audit::{self, Patience};
use gk_control_plane::store::sinks::{self, Batch, Standing, Turn};
use gk_control_plane::store::{Event, Ledger, Origin};
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::{AuditAction, AuditRecord, SealedHead, Trust};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

use crate::support::{Books, connect};

const ME: Uuid = Uuid::from_u128(1);
const YOU: Uuid = Uuid::from_u128(2);
/// The hold of whoever has it is over.
const LATER: &str = "UPDATE audit_sinks SET held_until = clock_timestamp() - interval '1 second'";

fn siem() -> SinkName {
    "siem".parse().expect("is a name")
}

fn notary(seed: u8) -> Notary {
    let key = SigningKey::from_seed([seed; 32].into());
    Notary::new(&AuditConfig { signing_key: Some(Arc::new(key)), ..AuditConfig::default() })
}

/// So many events more, all of them linked.
async fn grow(ledger: &Ledger, more: usize) {
    for number in 0..more {
        let event = Event::new(AuditAction::CleanupRun, format!("object-{number}")).fact("note", "x".repeat(1900));
        audit::record(ledger, Origin::system(), event).await.expect("records");
    }
    audit::seal(ledger, Patience::Wait).await.expect("seals");
}

async fn ours(ledger: &Ledger, content: Content, holder: Uuid) -> Standing {
    match sinks::turn(ledger, &siem(), content, holder).await.expect("answers") {
        Turn::Ours(standing) => standing,
        other => panic!("{other:?}"),
    }
}

async fn batch(ledger: &Ledger, content: Content, holder: Uuid) -> Batch {
    let standing = ours(ledger, content, holder).await;
    sinks::batch(ledger, content, standing).await.expect("reads")
}

/// Delivers one batch as one should.
async fn deliver(ledger: &Ledger, content: Content) -> Batch {
    let batch = batch(ledger, content, ME).await;
    assert!(sinks::begin(ledger, &siem(), ME, &batch).await.expect("begins"));
    sinks::finish(ledger, &siem(), ME, &batch).await.expect("finishes");
    batch
}

fn seqs(batch: &Batch) -> Vec<i64> {
    let records = batch.lines.iter().filter_map(|line| serde_json::from_str::<AuditRecord>(line).ok());
    records.map(|record| record.seq).collect()
}

fn sizes(batch: &Batch) -> Vec<i64> {
    let heads = batch.lines.iter().filter_map(|line| serde_json::from_str::<SealedHead>(line).ok());
    heads.map(|head| Trust::default().open(&head).expect("holds").checkpoint.head.size).collect()
}

#[tokio::test]
async fn a_sink_is_given_the_log_from_its_first_event_on_in_bounded_batches_and_nothing_twice() {
    let books = Books::open().await;
    let ledger = &books.ledger;
    grow(ledger, 300).await;
    sinks::register(ledger, &siem()).await.expect("registers");
    sinks::register(ledger, &siem()).await.expect("is there already");
    let mut all = Vec::new();
    loop {
        let batch = deliver(ledger, Content::Events).await;
        let bytes: usize = batch.lines.iter().map(String::len).sum();
        assert!(bytes <= 256 * 1024, "{bytes}");
        all.extend(seqs(&batch));
        if !batch.full {
            break;
        }
    }
    assert_eq!(all, (1..=300).collect::<Vec<i64>>());
    assert_eq!(sinks::turn(ledger, &siem(), Content::Events, ME).await.expect("answers"), Turn::Idle);
    grow(ledger, 2).await;
    assert_eq!(seqs(&deliver(ledger, Content::Events).await), [301, 302]);
}

#[tokio::test]
async fn what_was_begun_is_the_same_batch_for_whoever_comes_after_and_grows_no_more() {
    let books = Books::open().await;
    let (ledger, other) = (&books.ledger, connect(&books.config).0);
    grow(ledger, 3).await;
    notary(1).sign(ledger).await.expect("signs");
    sinks::register(ledger, &siem()).await.expect("registers");
    let begun = batch(ledger, Content::Both, ME).await;
    assert!(sinks::begin(ledger, &siem(), ME, &begun).await.expect("begins"));
    // More is written, another key comes: none of it changes what is on its way.
    audit::rotate(ledger, &SigningKey::from_seed([1; 32].into()), &SigningKey::from_seed([2; 32].into()))
        .await
        .expect("rotates");
    grow(ledger, 3).await;
    notary(2).sign(ledger).await.expect("signs");
    assert_eq!(sinks::turn(&other, &siem(), Content::Both, YOU).await.expect("answers"), Turn::Theirs);
    books.force(LATER).await;
    let again = batch(&other, Content::Both, YOU).await;
    assert_eq!((&again.lines, seqs(&again), sizes(&again)), (&begun.lines, vec![1, 2, 3], vec![3]));
    // Who was overtaken neither goes on nor notes anything.
    assert!(!sinks::begin(ledger, &siem(), ME, &begun).await.expect("answers"));
    sinks::finish(ledger, &siem(), ME, &begun).await.expect("answers");
    assert_eq!(batch(&other, Content::Both, YOU).await.lines, begun.lines);
    sinks::finish(&other, &siem(), YOU, &again).await.expect("finishes");
    let next = batch(&other, Content::Both, YOU).await;
    assert_eq!((seqs(&next), sizes(&next)), (vec![4, 5, 6, 7], vec![7]));
    sinks::release(&other, &siem(), YOU).await.expect("releases");
    assert_eq!(batch(ledger, Content::Both, ME).await.lines, next.lines, "at once");
}

#[tokio::test]
async fn a_checkpoint_comes_behind_the_events_that_it_covers_and_a_new_sink_begins_with_the_newest() {
    let books = Books::open().await;
    let ledger = &books.ledger;
    for _ in 0..3 {
        grow(ledger, 100).await;
        notary(1).sign(ledger).await.expect("signs");
    }
    sinks::register(ledger, &siem()).await.expect("registers");
    let mut lines = Vec::new();
    while let Turn::Ours(_) = sinks::turn(ledger, &siem(), Content::Both, ME).await.expect("answers") {
        lines.extend(deliver(ledger, Content::Both).await.lines);
    }
    let is_head = |line: &String| serde_json::from_str::<SealedHead>(line).is_ok();
    assert_eq!(lines.iter().position(is_head), Some(300), "the checkpoints of before are left out");
    assert_eq!(lines.len(), 301);
    grow(ledger, 1).await;
    notary(1).sign(ledger).await.expect("signs");
    assert_eq!(sizes(&deliver(ledger, Content::Checkpoints).await), [301]);
    // What it was not given before it gets as soon as it is to have it.
    assert_eq!(seqs(&deliver(ledger, Content::Events).await), [301]);
    let gauge = sinks::gauges(ledger, &[(siem(), Content::Both)]).await.expect("counts");
    assert_eq!((gauge[0].waiting, gauge[0].name.as_str()), (0, "siem"));
    assert!(gauge[0].delivered_at.is_some());
}

#[tokio::test]
async fn a_sink_that_took_nothing_rests_for_every_process_and_the_next_one_goes_on_counting() {
    let books = Books::open().await;
    let ledger = &books.ledger;
    grow(ledger, 1).await;
    sinks::register(ledger, &siem()).await.expect("registers");
    assert_eq!(ours(ledger, Content::Events, ME).await.tries, 0);
    sinks::refused(ledger, &siem(), ME, Duration::from_secs(300)).await.expect("notes");
    books.force(LATER).await;
    for who in [ME, YOU] {
        let turn = sinks::turn(ledger, &siem(), Content::Events, who).await.expect("answers");
        assert_eq!(turn, Turn::Resting, "{who}");
    }
    // The ledger's clock was set back by an hour: nobody waits for it to come to where it was.
    books.force("UPDATE audit_sinks SET not_before = clock_timestamp() + interval '1 hour'").await;
    assert_eq!(ours(ledger, Content::Events, YOU).await.tries, 1);
    books.force("UPDATE audit_sinks SET not_before = clock_timestamp()").await;
    assert_eq!(ours(ledger, Content::Events, YOU).await.tries, 1);
    let batch = batch(ledger, Content::Events, YOU).await;
    assert!(sinks::begin(ledger, &siem(), YOU, &batch).await.expect("begins"));
    sinks::finish(ledger, &siem(), YOU, &batch).await.expect("finishes");
    grow(ledger, 1).await;
    assert_eq!(ours(ledger, Content::Events, YOU).await.tries, 0, "it takes deliveries again");
}

#[tokio::test]
async fn a_change_of_what_a_sink_is_given_loses_nothing_of_a_batch_that_was_begun() {
    let books = Books::open().await;
    let ledger = &books.ledger;
    sinks::register(ledger, &siem()).await.expect("registers");
    grow(ledger, 2).await;
    notary(1).sign(ledger).await.expect("signs");
    let begun = batch(ledger, Content::Both, ME).await;
    assert!(sinks::begin(ledger, &siem(), ME, &begun).await.expect("begins"));
    let half = deliver(ledger, Content::Checkpoints).await;
    assert_eq!((seqs(&half), sizes(&half)), (vec![], vec![2]));
    let rest = deliver(ledger, Content::Both).await;
    assert_eq!((seqs(&rest), sizes(&rest)), (vec![1, 2], vec![]));
}
