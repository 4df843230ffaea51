//! A server whose connections are all taken: nothing new is made there, and what is to end ends all the same.

use gk_shared::wire::job::JobOutcome;
use gk_testkit::{TestPg, Version};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::lab::{Agent, Session, cut, gone, login, prepare, target_config};
use super::plane::Plane;

on_both_lines! {
    a_revoke_goes_through_on_a_server_without_a_free_connection,
}

/// Takes every connection that an ordinary role can have.
async fn crowd(pg: &TestPg) -> Vec<Client> {
    let mut crowd = Vec::new();
    loop {
        match pg.connect("crowd", "pw", "app").await {
            Ok(client) => crowd.push(client),
            Err(error) => {
                assert_eq!(error.code().map(SqlState::code), Some("53300"), "{error}");
                return crowd;
            }
        }
    }
}

async fn a_revoke_goes_through_on_a_server_without_a_free_connection(version: Version) {
    let pg = TestPg::with(version).setting("max_connections", "20").start().await;
    prepare(&pg).await;
    pg.superuser("app").await.batch_execute("CREATE ROLE crowd LOGIN PASSWORD 'pw'").await.unwrap();
    let plane = Plane::start().await;
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    let dsn = session.minted(&plane, 600).await;
    let user = login(&dsn).await.unwrap();

    let crowd = crowd(&pg).await;
    assert!(!crowd.is_empty() && login(&dsn).await.is_err(), "the server is full");
    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    cut(&user).await;
    let outcome = plane.outcome(&revoke).await;
    assert!(matches!(outcome, JobOutcome::Ended { dropped: true, blocked: None }), "{outcome:?}");
    gone(&pg, &session).await;

    drop(crowd);
    let next = Session::new();
    let dsn = next.minted(&plane, 600).await;
    assert!(login(&dsn).await.is_ok(), "and it is served again when there is room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mint_on_a_server_that_was_full_before_the_agent_came_is_told_as_busy() {
    let pg = TestPg::with(Version::From16).setting("max_connections", "20").start().await;
    prepare(&pg).await;
    pg.superuser("app").await.batch_execute("CREATE ROLE crowd LOGIN PASSWORD 'pw'").await.unwrap();
    let crowd = crowd(&pg).await;
    let plane = Plane::start().await;
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let job = Session::new().create(600);
    plane.queue(&job, 1);
    let outcome = plane.outcome(&job).await;
    let JobOutcome::Refused { error } = &outcome else { panic!("{outcome:?}") };
    assert_eq!((error.code.as_str(), error.retryable), ("target_busy", true), "{}", error.message);

    drop(crowd);
    let next = Session::new();
    assert!(login(&next.minted(&plane, 600).await).await.is_ok());
}
