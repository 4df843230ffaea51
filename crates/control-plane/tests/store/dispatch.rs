//! Direct dispatch: who waits for work is given the session that is being made, unless something speaks against it.

use std::time::Duration;

use gk_control_plane::store::jobs::{self, Completion};
use gk_control_plane::store::sessions::{self, SessionRecord};
use gk_control_plane::store::tokens::{AgentIdentity, Caller};
use gk_shared::wire::job::{ClaimJobs, Job, LeasedJob};
use gk_testkit::eventually;
use tokio::task::JoinHandle;

use crate::support::{Books, ended, minted, slots};

const LONG: Duration = Duration::from_secs(8);

/// A claim that has looked and now waits.
async fn waiting(books: &Books, agent: &AgentIdentity) -> JoinHandle<Vec<LeasedJob>> {
    waiting_for(books, agent, slots(4, 0, 8000)).await
}

async fn waiting_for(books: &Books, agent: &AgentIdentity, ask: ClaimJobs) -> JoinHandle<Vec<LeasedJob>> {
    let (ledger, agent) = (books.ledger.clone(), agent.clone());
    let claim = tokio::spawn(async move { jobs::claim(&ledger, &agent, &ask).await.expect("claims") });
    eventually(LONG, "the claim waits", async || match books.ledger.claims_waiting() {
        0 => Err(0),
        _ => Ok(()),
    })
    .await;
    claim
}

/// Whether the session's job was leased in the transaction that made the session: the one of its event.
async fn was_dispatched(books: &Books, session: &SessionRecord) -> bool {
    was_leased_at_once(books, session, ("create", "session.requested")).await
}

async fn was_leased_at_once(books: &Books, session: &SessionRecord, (kind, action): (&str, &str)) -> bool {
    let sql = "SELECT j.attempt = 1 AND j.xmin::text = e.txid::text FROM jobs j, audit_events e
               WHERE j.session_id = $1 AND j.kind = $2 AND e.object = $3 AND e.action = $4";
    let object = session.id.to_string();
    let row = books.superuser().await.query_one(sql, &[&session.id.uuid(), &kind, &object, &action]).await;
    row.expect("there is its job").get(0)
}

/// A session that went straight to a waiting agent, with what that agent was given. The first session on a target goes
/// through the queue.
async fn dispatched(books: &Books, ada: &Caller, agent: &AgentIdentity) -> (SessionRecord, LeasedJob) {
    books.create(ada).await;
    books.claim_one(agent).await;
    let claim = waiting(books, agent).await;
    let session = books.create(ada).await;
    assert!(was_dispatched(books, &session).await, "{session:?}");
    let mut given = claim.await.expect("does not panic");
    assert_eq!(given.len(), 1, "{given:?}");
    (session, given.remove(0))
}

#[tokio::test]
async fn an_agent_that_waits_is_leased_the_session_in_the_transaction_that_makes_it() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (_, lease) = dispatched(&books, &ada, &agent).await;
    assert_eq!((lease.generation, lease.attempt), (2, 1));
    let Job::CreateSession(job) = &lease.job else { panic!("{lease:?}") };
    // The queue tells the same of it: once the lease is over, somebody else is given the very same job.
    books.force("UPDATE jobs SET run_at = now() WHERE state = 'leased'").await;
    let again = books.claim(&agent).await;
    let same = again.iter().find(|again| again.job.id() == job.id).expect("is claimed again");
    let Job::CreateSession(queued) = &same.job else { panic!("{same:?}") };
    assert_eq!(serde_json::to_value(job).expect("is JSON"), serde_json::to_value(queued).expect("is JSON"));
    assert_eq!((same.generation, same.attempt), (3, 2));
    let report = books.report(&agent, same, minted(same)).await;
    assert!(matches!(report, Completion::Taken(_)), "{report:?}");
}

#[tokio::test]
async fn nothing_is_dispatched_beyond_the_cap_of_a_target() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    dispatched(&books, &ada, &agent).await;
    let cap = usize::try_from(jobs::TARGET_CAP).expect("is small");
    // As many as there may be and not one more: were there a queue, it would go first.
    let leased = "SELECT count(*) FROM jobs WHERE state = 'leased'";
    let before = usize::try_from(books.count(leased).await).expect("is small");
    for _ in before..cap {
        books.create(&ada).await;
    }
    while !jobs::claim(&books.ledger, &agent, &slots(128, 0, 0)).await.expect("claims").is_empty() {}
    assert_eq!(books.count(leased).await, jobs::TARGET_CAP);
    assert_eq!(books.count("SELECT count(*) FROM jobs WHERE state = 'queued'").await, 0);
    // Leases hold for as long as this test looks.
    books.force("UPDATE jobs SET run_at = now() + interval '1 hour' WHERE state = 'leased'").await;
    let claim = waiting(&books, &agent).await;
    let session = books.create(&ada).await;
    assert!(!was_dispatched(&books, &session).await, "beyond the cap");
    claim.abort();
}

#[tokio::test]
async fn an_agent_that_was_disabled_while_it_waited_is_given_nothing() {
    let books = Books::open().await;
    let (agent, other, ada) = (books.agent("a1").await, books.agent("a2").await, books.person("ada").await);
    dispatched(&books, &ada, &agent).await;
    let claim = waiting(&books, &agent).await;
    let disable = "UPDATE actors SET disabled_at = now() WHERE id = (SELECT actor_id FROM agents WHERE id = $1)";
    books.superuser().await.execute(disable, &[&agent.id.uuid()]).await.expect("disables");
    for _ in 0..20 {
        let session = books.create(&ada).await;
        assert!(!was_dispatched(&books, &session).await, "a disabled agent was given a session");
    }
    claim.abort();
    assert!(claim.await.is_err(), "a claim was answered");
    let left = jobs::claim(&books.ledger, &other, &slots(64, 0, 0)).await.expect("claims");
    assert!(left.len() >= 20, "{left:?}");
}

#[tokio::test]
async fn an_agent_that_was_revoked_or_drained_while_it_waited_is_given_nothing() {
    let books = Books::open().await;
    let (agent, other, ada) = (books.agent("a1").await, books.agent("a2").await, books.person("ada").await);
    dispatched(&books, &ada, &agent).await;
    let tokens = "UPDATE tokens SET revoked_at = NULL, expires_at = now() + interval '1 hour'";
    for change in [
        "UPDATE agents SET draining_at = now() WHERE id = $1",
        "UPDATE tokens SET revoked_at = now() WHERE actor_id = (SELECT actor_id FROM agents WHERE id = $1)",
        "UPDATE tokens SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'
         WHERE actor_id = (SELECT actor_id FROM agents WHERE id = $1)",
    ] {
        // Each alone.
        books.force("UPDATE agents SET draining_at = NULL").await;
        books.force(tokens).await;
        let claim = waiting(&books, &agent).await;
        books.superuser().await.execute(change, &[&agent.id.uuid()]).await.expect(change);
        for _ in 0..5 {
            let session = books.create(&ada).await;
            assert!(!was_dispatched(&books, &session).await, "{change}");
        }
        claim.abort();
        assert!(claim.await.is_err(), "{change}: a claim was answered");
        assert_eq!(books.claim(&other).await.len(), 5, "{change}");
    }
}

#[tokio::test]
async fn what_a_caller_that_hangs_up_had_made_or_ended_goes_on_at_once() {
    let books = Books::open().await;
    let (agent, other, ada) = (books.agent("a1").await, books.agent("a2").await, books.person("ada").await);
    dispatched(&books, &ada, &agent).await;
    for round in 0..30_u64 {
        let claim = waiting(&books, &agent).await;
        let (ledger, wish) = (books.ledger.clone(), books.wish(&ada));
        let id = wish.id;
        let asks = tokio::spawn(async move { sessions::create(&ledger, &wish).await.is_ok() });
        tokio::time::sleep(Duration::from_micros(round * 200)).await;
        asks.abort();
        let _ = asks.await;
        // Made or not; if it was made, somebody has it in hand long before the end of a lease.
        eventually(Duration::from_secs(3), "nothing lies with nobody", async || {
            let told = claim.is_finished();
            let taken = books.claim(&other).await.iter().any(|lease| lease.job.session() == id);
            let made = books.count(&format!("SELECT count(*) FROM sessions WHERE id = '{}'", id.uuid())).await == 1;
            if told || taken || !made { Ok(()) } else { Err(round) }
        })
        .await;
        claim.abort();
    }
}

#[tokio::test]
async fn what_was_leased_to_an_agent_that_left_at_that_moment_is_claimed_by_another_at_once() {
    let books = Books::open().await;
    let (agent, other, ada) = (books.agent("a1").await, books.agent("a2").await, books.person("ada").await);
    dispatched(&books, &ada, &agent).await;
    let before = books.count("SELECT count(*) FROM sessions WHERE ready_at IS NULL").await;
    for round in 0..30_u64 {
        let claim = waiting(&books, &agent).await;
        let hang_up = async {
            tokio::time::sleep(Duration::from_micros(round * 150)).await;
            claim.abort();
            // What it was given before it hung up is its own.
            claim.await.map_or(0, |given| given.len())
        };
        let (_, taken) = tokio::join!(books.create(&ada), hang_up);
        let mut left = 1 - taken;
        // A lease of somebody who is gone holds for 5 s: this is far less.
        eventually(Duration::from_secs(3), "the job is claimed, long before the end of a lease", async || {
            left -= books.claim(&other).await.len().min(left);
            if left == 0 { Ok(()) } else { Err(round) }
        })
        .await;
    }
    assert_eq!(books.count("SELECT count(*) FROM sessions WHERE ready_at IS NULL").await, before + 30);
}

#[tokio::test]
async fn an_agent_that_waits_for_ends_is_leased_the_end_in_the_transaction_that_wants_it() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let makes = waiting(&books, &agent).await;
    let ends = waiting_for(&books, &agent, slots(0, 4, 8000)).await;
    eventually(LONG, "both claims wait", async || match books.ledger.claims_waiting() {
        2 => Ok(()),
        few => Err(few),
    })
    .await;
    books.revoke(&ada, session.id).await;
    assert!(was_leased_at_once(&books, &session, ("revoke", "session.ending")).await);
    let given = ends.await.expect("does not panic");
    let [lease] = &given[..] else { panic!("{given:?}") };
    assert!(!makes.is_finished(), "who waits for sessions to make was given an end");
    makes.abort();
    books.force("UPDATE jobs SET run_at = now() WHERE state = 'leased'").await;
    let again = books.claim_one(&agent).await;
    assert_eq!((again.generation, again.attempt, lease.attempt), (lease.generation, 2, 1));
    let told = |lease: &LeasedJob| serde_json::to_value(&lease.job).expect("is JSON");
    assert_eq!(told(&again), told(lease));
    let report = books.report(&agent, &again, ended()).await;
    assert!(matches!(report, Completion::Taken(_)), "{report:?}");
}

#[tokio::test]
async fn an_end_that_is_wanted_while_its_session_is_made_waits_for_nobody() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, making) = dispatched(&books, &ada, &agent).await;
    let ends = waiting_for(&books, &agent, slots(0, 4, 8000)).await;
    books.revoke(&ada, session.id).await;
    let given = ends.await.expect("does not panic");
    let [end] = &given[..] else { panic!("{given:?}") };
    assert!(end.generation > making.generation, "{end:?}");
    let late = books.report(&agent, &making, minted(&making)).await;
    assert_eq!(late, Completion::Stale, "a mint that comes after the wish to end it");
}
