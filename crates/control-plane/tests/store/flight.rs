//! A change, its event and the commit travel together: all of them arrive, or none, whoever lets go in between.

use std::time::Duration;

use gk_control_plane::store::{Origin, jobs, sessions};
use gk_shared::session::SessionStatus;
use gk_shared::wire::job::CompleteJob;
use gk_testkit::eventually;

use crate::support::{Books, TAKEN, minted, request};

const REQUESTED: &str = "SELECT count(*) FROM audit_events WHERE action = 'session.requested'";
const CREATED: &str = "SELECT count(*) FROM audit_events WHERE action = 'session.created'";
const SESSIONS: &str = "SELECT count(*) FROM sessions";
const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";

/// More than the ledger's pools have connections.
const MANY: usize = 24;

#[tokio::test]
async fn a_create_that_is_given_up_in_flight_is_made_with_its_event_or_not_at_all() {
    let books = Books::open().await;
    let (_agent, ada) = (books.agent("a1").await, books.person("ada").await);
    for _ in 0..MANY {
        let other = books.superuser().await;
        other.batch_execute("BEGIN; LOCK TABLE audit_events IN EXCLUSIVE MODE").await.expect("locks");
        let (wish, ledger) = (books.wish(&ada), books.ledger.clone());
        let create = tokio::spawn(async move { sessions::create(&ledger, &wish).await.map(drop) });
        books.locked_out(1).await;
        create.abort();
        assert!(create.await.expect_err("was given up").is_cancelled());
        other.batch_execute("ROLLBACK").await.expect("lets go");
    }
    eventually(Duration::from_secs(5), "every connection is free of its transaction", async || {
        match books.count(OPEN).await {
            0 => Ok(()),
            open => Err(open),
        }
    })
    .await;
    assert_eq!(books.count(SESSIONS).await, books.count(REQUESTED).await);
    for _ in 0..MANY {
        books.create(&ada).await;
    }
    assert_eq!(books.count(SESSIONS).await, books.count(REQUESTED).await);
}

#[tokio::test]
async fn a_change_that_the_ledger_refuses_leaves_no_event_of_it() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    books.force("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$").await;
    books.force("CREATE TRIGGER no BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION no()").await;
    sessions::create(&books.ledger, &books.wish(&ada)).await.expect_err("the ledger refuses the row");
    assert_eq!((books.count(SESSIONS).await, books.count(REQUESTED).await), (0, 0));
    books.force("DROP TRIGGER no ON sessions").await;
    let session = books.create(&ada).await;
    let lease = books.claim_one(&agent).await;
    books.force("CREATE TRIGGER no BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION no()").await;
    let report =
        CompleteJob { lease_token: lease.lease_token.clone(), generation: lease.generation, outcome: minted(&lease) };
    let origin = Origin::agent(agent.name.as_str(), request());
    let refused = jobs::complete(&books.ledger, &agent, origin, (lease.job.id(), &report)).await;
    refused.expect_err("the ledger refuses the change");
    assert_eq!(books.count(CREATED).await, 0);
    assert_eq!(books.count("SELECT count(*) FROM jobs WHERE state = 'leased'").await, 1);
    books.force("DROP TRIGGER no ON sessions").await;
    assert_eq!(books.result(&agent, &lease, minted(&lease)).await, TAKEN);
    assert_eq!((books.status(session.id).await, books.count(CREATED).await), (SessionStatus::Ready, 1));
}
