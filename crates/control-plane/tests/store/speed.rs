//! What the ledger's part of a session costs. A guard against a lost index or a new round trip, not a benchmark: the
//! bound is many times what an idle machine needs.

use std::time::{Duration, Instant};

use gk_control_plane::store::jobs;
use gk_control_plane::store::sessions::create;

use crate::support::{Books, minted, slots};

#[tokio::test]
async fn create_claim_and_complete_together_take_a_few_milliseconds() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let mut rounds = Vec::new();
    for _ in 0..60 {
        let wish = books.wish(&ada);
        let start = Instant::now();
        create(&books.ledger, &wish).await.expect("creates");
        let lease = jobs::claim(&books.ledger, &agent, &slots(1, 1, 0)).await.expect("claims").remove(0);
        books.report(&agent, &lease, minted(&lease)).await;
        rounds.push(start.elapsed());
    }
    rounds.sort();
    let median = rounds[rounds.len() / 2];
    println!("create + claim + complete: p50 {median:?}, best {:?}, worst {:?}", rounds[0], rounds[rounds.len() - 1]);
    assert!(median < Duration::from_millis(100), "{median:?}");
}

#[tokio::test]
async fn a_claim_does_not_read_the_history() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let history = format!(
        "INSERT INTO jobs (id, tenant_id, session_id, target_id, kind, lane, state, finished_at, correlation_id)
         SELECT gen_random_uuid(), tenant_id, id, target_id, 'revoke', 0, 'done', now(), 'x'
         FROM sessions, generate_series(1, 100000) WHERE id = '{}'; ANALYZE",
        session.id.uuid()
    );
    books.force(&history).await;
    books.create(&ada).await;
    let start = Instant::now();
    assert_eq!(books.claim(&agent).await.len(), 1);
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}
