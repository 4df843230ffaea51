//! Certificates of agents: none outlives the agent's revocation, whichever of the two comes first.

use std::time::Duration;

use gk_control_plane::store::certificates::{self, NewCertificate};
use gk_control_plane::store::tokens::AgentIdentity;
use gk_control_plane::store::{Origin, agents};
use gk_edge::certificate::Fingerprint;
use gk_shared::ids::TokenId;

use crate::support::Books;

const WORKING: &str =
    "SELECT count(*) FROM tokens k JOIN agents g ON g.actor_id = k.actor_id WHERE k.revoked_at IS NULL";
/// Whoever writes an event waits: in the middle of a change, with all that it locked.
const NO_EVENTS: &str = "BEGIN; LOCK TABLE audit_events IN EXCLUSIVE MODE";

/// An agent that shows a certificate, and which.
async fn certified(books: &Books) -> (AgentIdentity, TokenId) {
    let agent = books.agent("a1").await;
    books.force("UPDATE tokens SET kind = 'certificate' WHERE actor_id IN (SELECT actor_id FROM agents)").await;
    let shown = "SELECT k.id FROM tokens k JOIN agents g ON g.actor_id = k.actor_id WHERE g.id = $1";
    let row = books.superuser().await.query_one(shown, &[&agent.id.uuid()]).await.expect("has one");
    (agent, TokenId::from_uuid(row.get(0)))
}

fn renewal(books: &Books, (agent, shown): (&AgentIdentity, TokenId)) -> tokio::task::JoinHandle<bool> {
    let (ledger, agent) = (books.ledger.clone(), agent.clone());
    tokio::spawn(async move {
        let now = ledger.now().await.expect("answers");
        let until = now + Duration::from_secs(3600);
        let new = NewCertificate { id: ledger.fresh_id(now), fingerprint: Fingerprint::of(b"the next one"), until };
        certificates::renew(&ledger, Origin::system(), (&agent, shown), &new).await.expect("answers")
    })
}

fn revocation(books: &Books, agent: &AgentIdentity) -> tokio::task::JoinHandle<u32> {
    let (ledger, name) = (books.ledger.clone(), agent.name.clone());
    tokio::spawn(async move {
        let revoked = agents::revoke(&ledger, Origin::system(), &name).await.expect("answers");
        revoked.expect("there is such an agent").revoked
    })
}

#[tokio::test]
async fn a_certificate_that_is_made_while_its_agent_is_revoked_is_revoked_too() {
    let books = Books::open().await;
    let (agent, shown) = certified(&books).await;
    let other = books.superuser().await;
    other.batch_execute(NO_EVENTS).await.expect("locks");
    let renewed = renewal(&books, (&agent, shown));
    books.locked_out(1).await;
    let revoked = revocation(&books, &agent);
    books.locked_out(2).await;
    other.batch_execute("ROLLBACK").await.expect("lets go");
    assert!(renewed.await.expect("does not panic"), "it came first");
    assert_eq!(revoked.await.expect("does not panic"), 2, "the one before and the one after");
    assert_eq!(books.count(WORKING).await, 0);
}

#[tokio::test]
async fn an_agent_that_is_being_revoked_gets_no_other_certificate() {
    let books = Books::open().await;
    let (agent, shown) = certified(&books).await;
    let other = books.superuser().await;
    other.batch_execute(NO_EVENTS).await.expect("locks");
    let revoked = revocation(&books, &agent);
    books.locked_out(1).await;
    let renewed = renewal(&books, (&agent, shown));
    books.locked_out(2).await;
    other.batch_execute("ROLLBACK").await.expect("lets go");
    assert_eq!(revoked.await.expect("does not panic"), 1);
    assert!(!renewed.await.expect("does not panic"), "what it shows is of no use any more");
    assert_eq!(books.count(WORKING).await, 0);
}
