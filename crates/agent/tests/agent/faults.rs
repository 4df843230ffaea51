//! Targets that refuse, vanish, or are not what they should be: each is told by its own code.

use gk_shared::ids::SessionId;
use gk_shared::wire::job::{Job, JobOutcome};
use gk_shared::wire::session::SessionFailure;
use gk_testkit::{TestPg, Version, eventually};

use super::lab::{Agent, SOON, Session, cut, gone, login, target, target_config};
use super::plane::Plane;

async fn refusal(plane: &Plane, job: &Job) -> SessionFailure {
    plane.queue(job, 1);
    match plane.outcome(job).await {
        JobOutcome::Refused { error } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_of_a_mint_has_its_code() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);

    let Job::CreateSession(mut other_digest) = Session::new().create(600) else { unreachable!("a create job") };
    other_digest.pack_digest = format!("sha256:{}", "0".repeat(64));
    let error = refusal(&plane, &Job::CreateSession(other_digest)).await;
    assert_eq!((error.code.as_str(), error.retryable), ("pack_refused", false), "{}", error.message);

    let Job::CreateSession(mut unknown) = Session::new().create(600) else { unreachable!("a create job") };
    unknown.role = "app_root".parse().unwrap();
    assert_eq!(refusal(&plane, &Job::CreateSession(unknown)).await.code, "pack_refused");

    let error = refusal(&plane, &Session::new().create(86_401)).await;
    assert_eq!((error.code.as_str(), error.retryable), ("invalid_ttl", false), "{}", error.message);
    assert!(error.message.contains("the role allows at most"), "{}", error.message);

    let Job::CreateSession(mut many) = Session::new().create(600) else { unreachable!("a create job") };
    many.max_connections = Some(5000);
    let error = refusal(&plane, &Job::CreateSession(many)).await;
    assert_eq!((error.code.as_str(), error.retryable), ("invalid_request", false), "{}", error.message);
    assert!(error.message.contains("connections at once") && error.message.contains("--max-connections"), "{error:?}");

    let Job::CreateSession(mut weak) = Session::new().create(600) else { unreachable!("a create job") };
    weak.recipient_public_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned();
    assert_eq!(refusal(&plane, &Job::CreateSession(weak)).await.code, "invalid_public_key");

    let foreign = Session::new();
    let admin = pg.superuser("app").await;
    admin.batch_execute(&format!("CREATE ROLE {} LOGIN", foreign.id.role_name())).await.unwrap();
    let error = refusal(&plane, &foreign.create(600)).await;
    assert_eq!((error.code.as_str(), error.retryable), ("foreign_role", false), "{}", error.message);
    assert!(exists(&pg, foreign.id).await, "it is left alone");
}

async fn exists(pg: &TestPg, session: SessionId) -> bool {
    let sql = "SELECT count(*) FROM pg_roles WHERE rolname = $1";
    let role = session.role_name().to_string();
    pg.superuser("app").await.query_one(sql, &[&role]).await.unwrap().get::<_, i64>(0) == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_without_helpers_is_told_as_such() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    pg.create_database("bare").await;
    let mut config = target_config(&pg);
    config.database = "bare".to_owned();
    let _agent = Agent::start(&plane, vec![config]);
    let error = refusal(&plane, &Session::new().create(600)).await;
    assert_eq!((error.code.as_str(), error.retryable), ("helpers_missing", false), "{}", error.message);
    eventually(SOON, "the heartbeat says so, too", async || {
        let script = plane.script();
        let beat = script.heartbeats.last().map(|beat| beat.targets[0].clone());
        match beat {
            Some(target) if !target.reachable && target.error.is_some() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told_without_being_repeated() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let mut config = target_config(&pg);
    config.password = Some("not the agent's".into());
    let _agent = Agent::start(&plane, vec![config]);
    let error = refusal(&plane, &Session::new().create(600)).await;
    assert_eq!((error.code.as_str(), error.retryable), ("target_unreachable", true), "{}", error.message);
    assert!(!error.message.contains("not the agent's"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_is_served_again_when_it_is_back() {
    let (mut pg, plane) = (target(Version::Before16).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let before = Session::new();
    before.minted(&plane, 600).await;
    pg.kill9();
    let lost = refusal(&plane, &Session::new().create(600)).await;
    assert_eq!((lost.code.as_str(), lost.retryable), ("target_unreachable", true), "{}", lost.message);
    pg.start_again().await;
    let after = Session::new();
    let dsn = after.minted(&plane, 600).await;
    assert!(login(&dsn).await.is_ok());
    let revoke = before.revoke();
    plane.queue(&revoke, 2);
    assert!(matches!(plane.outcome(&revoke).await, JobOutcome::Ended { dropped: true, .. }));
    gone(&pg, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_told_to_stop_finishes_the_end_it_began() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    let user = login(&session.minted(&plane, 600).await).await.unwrap();
    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    // Cut, and not dropped yet: the second look is half a second away.
    cut(&user).await;
    agent.stop().await;
    let result = plane.script().results.get(&revoke.id().to_string()).map(|result| result.outcome.clone());
    assert!(matches!(result, Some(JobOutcome::Ended { dropped: true, .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_transaction_leaves_a_harmless_role_with_its_mend_named() {
    let pg = TestPg::with(Version::From16).setting("max_prepared_transactions", "5").start().await;
    super::lab::prepare(&pg).await;
    let plane = Plane::start().await;
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    let dsn = session.minted(&plane, 600).await;
    let user = login(&dsn).await.unwrap();
    user.batch_execute("BEGIN; SELECT count(*) FROM orders; PREPARE TRANSACTION 'keep me'").await.unwrap();
    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    cut(&user).await;
    let outcome = plane.outcome(&revoke).await;
    let JobOutcome::Ended { dropped: false, blocked: Some(blocked) } = outcome else { panic!("{outcome:?}") };
    assert!(blocked.contains("ROLLBACK PREPARED 'keep me'"), "{blocked}");
    assert!(login(&dsn).await.is_err());
    pg.superuser("app").await.batch_execute("ROLLBACK PREPARED 'keep me'").await.unwrap();
    // The sweep goes on by itself.
    gone(&pg, &session).await;
}
