//! The tree over the log and its signed checkpoints: witnesses can follow them, and notice a log that went back.

use std::collections::HashSet;
use std::sync::Arc;

use gk_control_plane::notary::{AuditConfig, Notary, NotaryError};
use gk_control_plane::store::audit::{self, AuditFilter, Patience, SignError};
use gk_control_plane::store::{Event, Ledger, Origin};
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::witness::{Advance, advance};
use gk_shared::audit::{Anchor, AuditAction, AuditFinding, SealedHead, Trust, Verifier};
use gk_shared::problem::ErrorCode;
use tokio_postgres::error::SqlState;

use crate::support::{Books, OWNER, connect, request};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32].into())
}

/// A control plane's notary with this key, which keeps its checkpoints in `file`.
fn notary(seed: u8, dir: Option<&tempfile::TempDir>) -> Notary {
    let checkpoint_file = dir.map(|dir| dir.path().join("checkpoints"));
    Notary::new(&AuditConfig { signing_key: Some(Arc::new(key(seed))), checkpoint_file, ..AuditConfig::default() })
}

/// So many events more, all of them linked.
async fn grow(ledger: &Ledger, count: usize) {
    for n in 0..count {
        let event = Event::new(AuditAction::AccessRefused, format!("x-{n}")).denied();
        audit::record(ledger, Origin::actor("mala", request()), event).await.expect("records");
        if n % 3 == 0 {
            audit::seal(ledger, Patience::Wait).await.expect("seals");
        }
    }
    audit::seal(ledger, Patience::Wait).await.expect("seals");
}

/// The newest checkpoint, as `GET /v1/audit/checkpoints?from=` answers.
async fn asked(ledger: &Ledger, from: i64) -> gk_shared::wire::audit::Checkpoint {
    audit::checkpoint(ledger, Some(from)).await.expect("reads")
}

async fn sealed(ledger: &Ledger) -> SealedHead {
    asked(ledger, 0).await.sealed().expect("is signed")
}

/// The whole log against its own newest checkpoint.
async fn verify(ledger: &Ledger) -> Result<i64, AuditFinding> {
    let opened = Trust::default().open(&sealed(ledger).await)?;
    let mut verifier = Verifier::against(vec![], Some(Anchor::from(&opened.checkpoint)));
    let page = audit::events(ledger, 0, 1000, &AuditFilter::default()).await.expect("reads");
    page.events.iter().try_for_each(|record| verifier.take(record))?;
    verifier.finish().map(|head| head.size)
}

#[tokio::test]
async fn a_witness_follows_the_log_from_checkpoint_to_checkpoint() {
    let books = Books::open().await;
    let notary = notary(1, None);
    let mut held: Option<SealedHead> = None;
    for more in [0, 1, 1, 5, 13, 64] {
        grow(&books.ledger, more).await;
        notary.sign(&books.ledger).await.expect("signs");
        let from = held.as_ref().map_or(0, |held| Trust::default().open(held).expect("holds").checkpoint.head.size);
        let said = asked(&books.ledger, from).await;
        let (new, proof) = (said.sealed().expect("is signed"), said.proof());
        let step = advance(&Trust::default(), held.as_ref(), &new, proof.as_deref()).expect("continues");
        assert!(matches!(step, Advance::Keep(_)), "{more}");
        held = Some(new);
    }
    assert_eq!(verify(&books.ledger).await, Ok(84));
    assert_eq!(asked(&books.ledger, 85).await.consistency, None, "there are fewer");
    // Signed again without a new event it is the same.
    notary.sign(&books.ledger).await.expect("signs");
    assert_eq!(Some(sealed(&books.ledger).await), held);
    assert_eq!(books.count("SELECT count(*) FROM audit_checkpoints").await, 6);
}

#[tokio::test]
async fn without_a_key_the_checkpoint_is_where_the_log_ends_and_nobody_signed_it() {
    let books = Books::open().await;
    grow(&books.ledger, 5).await;
    Notary::new(&AuditConfig::default()).sign(&books.ledger).await.expect("has nothing to do");
    let said = asked(&books.ledger, 3).await;
    assert_eq!((said.size, said.note.is_none(), said.epochs.len()), (5, true, 0));
    assert!(said.origin.starts_with("gatekeeper/") && said.origin.len() > 20, "{}", said.origin);
    assert!(said.consistency.is_some() && said.root.is_some());
}

#[tokio::test]
async fn nodes_that_an_older_binary_left_out_are_made_again() {
    let books = Books::open().await;
    grow(&books.ledger, 21).await;
    books.force("SET session_replication_role = origin; ALTER TABLE audit_nodes DISABLE TRIGGER ALL; DELETE FROM audit_nodes WHERE index % 2 = 0").await;
    grow(&books.ledger, 3).await;
    notary(1, None).sign(&books.ledger).await.expect("signs");
    assert_eq!(verify(&books.ledger).await, Ok(24));
    assert_eq!(books.count("SELECT count(*) FROM audit_nodes").await, 12 + 6 + 3 + 1);
}

#[tokio::test]
async fn two_notaries_at_once_sign_one_history_under_one_first_key() {
    let books = Books::open().await;
    let (other, _sent) = connect(&books.config);
    grow(&books.ledger, 4).await;
    let (mine, theirs) = (notary(1, None), notary(1, None));
    let (a, b) = tokio::join!(mine.sign(&books.ledger), theirs.sign(&other));
    a.and(b).expect("both sign");
    assert_eq!(books.count("SELECT count(*) FROM audit_epochs").await, 1);
    assert_eq!(books.count("SELECT count(*) FROM audit_checkpoints").await, 1);
}

#[tokio::test]
async fn a_new_key_is_introduced_by_the_old_one_which_then_signs_no_more() {
    let books = Books::open().await;
    grow(&books.ledger, 4).await;
    notary(1, None).sign(&books.ledger).await.expect("signs");
    let before = sealed(&books.ledger).await;
    let refused = audit::rotate(&books.ledger, &key(9), &key(2)).await.expect_err("is no key of this log");
    assert!(matches!(refused, SignError::Unknown), "{refused}");
    let rotated = audit::rotate(&books.ledger, &key(1), &key(2)).await.expect("rotates");
    assert_eq!((rotated.epoch, rotated.starts), (2, 4));
    grow(&books.ledger, 3).await;
    let refused = notary(1, None).sign(&books.ledger).await.expect_err("is retired");
    assert!(matches!(refused, NotaryError::Sign(SignError::Retired { since: 4 })), "{refused}");
    assert_eq!(refused.code(), ErrorCode::ConfigInvalid);
    notary(2, None).sign(&books.ledger).await.expect("signs");
    let said = asked(&books.ledger, 4).await;
    let (new, proof) = (said.sealed().expect("is signed"), said.proof());
    let step = advance(&Trust::default(), Some(&before), &new, proof.as_deref()).expect("continues");
    assert_eq!(step.opened().checkpoint.epoch, 2);
    let unknown = notary(7, None).sign(&books.ledger).await.expect_err("never signed here");
    assert!(matches!(unknown, NotaryError::Sign(SignError::Unknown)), "{unknown}");
}

/// Takes the log back to before the last events, as a restored backup or its owner would.
const ROLL_BACK: &str = "ALTER TABLE audit_links DISABLE TRIGGER ALL; ALTER TABLE audit_events DISABLE TRIGGER ALL;
    ALTER TABLE audit_nodes DISABLE TRIGGER ALL; ALTER TABLE audit_checkpoints DISABLE TRIGGER ALL;
    DELETE FROM audit_links WHERE seq > 5; DELETE FROM audit_events WHERE id NOT IN (SELECT event_id FROM audit_links);
    DELETE FROM audit_nodes; DELETE FROM audit_checkpoints;
    ALTER TABLE audit_links ENABLE ALWAYS TRIGGER audit_links_stay; ALTER TABLE audit_nodes ENABLE ALWAYS TRIGGER audit_nodes_stay";

#[tokio::test]
async fn a_log_behind_its_checkpoint_file_is_a_regression_that_is_logged_once_and_never_signed_over() {
    let books = Books::open().await;
    let dir = tempfile::tempdir().expect("a directory");
    grow(&books.ledger, 9).await;
    notary(1, Some(&dir)).sign(&books.ledger).await.expect("signs");
    books.force(ROLL_BACK).await;
    let after = notary(1, Some(&dir));
    after.sign(&books.ledger).await.expect("looks");
    after.sign(&books.ledger).await.expect("looks");
    let found = after.regression().expect("is found");
    assert_eq!(found.finding, AuditFinding::Cut { size: 5, known: 9 });
    assert_eq!(after.may_grant().expect_err("nothing is granted").code(), "audit_regression");
    assert_eq!(books.count("SELECT count(*) FROM audit_checkpoints").await, 0, "nothing new is signed");
    let events = "SELECT count(*) FROM audit_events WHERE action = 'audit.regression'";
    assert_eq!(books.count(events).await, 1);
    // The log grows again, past the size that was seen: it is still another one.
    grow(&books.ledger, 9).await;
    let later = notary(1, Some(&dir));
    later.sign(&books.ledger).await.expect("looks");
    assert_eq!(later.regression().expect("is found").finding, AuditFinding::Rewritten { seq: 9 });
}

#[tokio::test]
async fn keys_that_the_ledger_forgot_are_a_regression_and_no_new_first_key_is_made() {
    let books = Books::open().await;
    let dir = tempfile::tempdir().expect("a directory");
    grow(&books.ledger, 3).await;
    notary(1, Some(&dir)).sign(&books.ledger).await.expect("signs");
    grow(&books.ledger, 3).await;
    books
        .force(
            "ALTER TABLE audit_epochs DISABLE TRIGGER ALL; ALTER TABLE audit_checkpoints DISABLE TRIGGER ALL;
             DELETE FROM audit_epochs; DELETE FROM audit_checkpoints",
        )
        .await;
    let after = notary(1, Some(&dir));
    after.sign(&books.ledger).await.expect("looks");
    assert_eq!(after.regression().expect("is found").finding, AuditFinding::UnknownKey { seq: 3 });
    assert_eq!(books.count("SELECT count(*) FROM audit_epochs").await, 0);
}

#[tokio::test]
async fn each_control_plane_has_every_checkpoint_in_its_own_file_once() {
    let books = Books::open().await;
    let (here, there) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (mine, theirs) = (notary(1, Some(&here)), notary(1, Some(&there)));
    for more in [2, 3, 0] {
        grow(&books.ledger, more).await;
        mine.sign(&books.ledger).await.expect("signs");
        theirs.sign(&books.ledger).await.expect("signs");
    }
    let lines = |dir: &tempfile::TempDir| std::fs::read_to_string(dir.path().join("checkpoints")).expect("reads");
    assert_eq!(lines(&here), lines(&there));
    assert_eq!(lines(&here).lines().count(), 2);
}

#[tokio::test]
async fn what_an_agent_witnessed_shows_a_log_that_went_back_and_made_up_checkpoints_do_not() {
    let books = Books::open().await;
    grow(&books.ledger, 9).await;
    let before = notary(1, None);
    before.sign(&books.ledger).await.expect("signs");
    let witnessed = sealed(&books.ledger).await;
    before.hear(&books.ledger, "eu-1", &witnessed).await.expect("compares");
    assert_eq!(before.regression(), None);
    books.force(ROLL_BACK).await;
    let after = notary(1, None);
    // Signed by nobody we know, or not signed as it says.
    let stranger = strangers(&witnessed);
    let altered = SealedHead { checkpoint: witnessed.checkpoint.replacen("\n9\n", "\n99\n", 1), ..witnessed.clone() };
    for lie in [stranger, altered] {
        after.hear(&books.ledger, "evil", &lie).await.expect("is not believed");
        assert_eq!(after.regression(), None);
    }
    after.hear(&books.ledger, "eu-1", &witnessed).await.expect("compares");
    let found = after.regression().expect("is found");
    assert_eq!((found.finding.kind(), found.witness.as_str()), ("cut", "agent eu-1"));
}

/// The same log's name with a larger size, signed under a key of somebody else's.
fn strangers(real: &SealedHead) -> SealedHead {
    let seen = Trust::default().open(real).expect("holds").checkpoint;
    let theirs = key(66);
    let epoch = gk_shared::audit::epoch::first_epoch(&seen.origin, &theirs, 0).to_string();
    let mut more = seen.clone();
    more.head.size = 1000;
    let note = more.note().signed(seen.origin.as_str(), &theirs);
    SealedHead { checkpoint: note.to_string(), epochs: vec![epoch] }
}

#[tokio::test]
async fn nobody_changes_or_removes_a_node_an_epoch_or_a_checkpoint() {
    let books = Books::open().await;
    grow(&books.ledger, 4).await;
    notary(1, None).sign(&books.ledger).await.expect("signs");
    let owner = books.pg.connect(OWNER, "pw", "ledger").await.expect("connects");
    let superuser = books.superuser().await;
    superuser.batch_execute("SET session_replication_role = replica").await.expect("may play replica");
    for client in [&owner, &superuser] {
        for table in ["audit_log", "audit_nodes", "audit_epochs", "audit_checkpoints"] {
            for sql in [
                format!("UPDATE {table} SET tenant_id = tenant_id"),
                format!("DELETE FROM {table}"),
                format!("TRUNCATE {table}"),
            ] {
                let error = client.batch_execute(&sql).await.expect_err("is refused");
                assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{sql}");
            }
        }
    }
}

#[tokio::test]
async fn every_ledger_has_a_log_of_its_own_name() {
    let books = Books::open().await;
    let mut names = HashSet::from([audit::origin(&books.ledger).await.expect("reads").to_string()]);
    books.pg.create_database("other").await;
    let url = gk_shared::secret::SecretDsn::new(books.pg.superuser_dsn("other"));
    let other = gk_control_plane::config::LedgerConfig::from_url(&url).expect("is an address");
    gk_control_plane::store::migrate(&other).await.expect("migrates");
    let (ledger, _sent) = connect(&other);
    assert!(names.insert(audit::origin(&ledger).await.expect("reads").to_string()));
}
