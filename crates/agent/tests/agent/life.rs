//! A session's whole life through the agent.

use gk_shared::wire::agent::RoleState;
use gk_shared::wire::job::{ExtendSessionJob, Job, JobOutcome};
use gk_testkit::{Version, eventually};

use super::lab::{Agent, SOON, Session, cut, gone, login, pack, target, target_config};
use super::plane::Plane;

on_both_lines! {
    a_session_is_made_read_with_and_ended,
    a_revoke_that_overtakes_its_mint_wins,
    a_repeated_mint_of_the_same_generation_gives_a_login_that_works,
    what_is_owned_in_another_database_is_handed_on,
    what_cannot_be_dropped_is_reported_with_its_mend,
    a_reconnect_storm_is_cut,
    a_session_is_extended,
}

async fn a_session_is_made_read_with_and_ended(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    let dsn = session.minted(&plane, 600).await;
    assert!(dsn.contains(&format!("application_name=gk%3A{}", session.id)), "{dsn}");

    let user = login(&dsn).await.unwrap();
    let row = user.query_one("SELECT count(*) FROM orders", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 100);
    let refused = user.batch_execute("INSERT INTO orders VALUES (101)").await.unwrap_err();
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("42501"));

    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    cut(&user).await;
    let outcome = plane.outcome(&revoke).await;
    assert!(matches!(outcome, JobOutcome::Ended { dropped: true, blocked: None }), "{outcome:?}");
    gone(&pg, &session).await;
    assert!(login(&dsn).await.is_err());

    agent.stop().await;
    let script = plane.script();
    assert!(script.request_ids.iter().any(|id| id.starts_with("req_")), "the correlation id comes back");
    let beat = script.heartbeats.first().unwrap();
    assert!(beat.targets[0].reachable && beat.targets[0].packs.iter().any(|p| p.digest == pack("app_read").digest));
}

async fn a_revoke_that_overtakes_its_mint_wins(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    let (revoke, create) = (session.revoke(), session.create(600));
    plane.queue(&revoke, 2);
    assert!(matches!(plane.outcome(&revoke).await, JobOutcome::Ended { dropped: true, .. }));
    // The mint that was on its way all the while.
    plane.queue(&create, 1);
    let outcome = plane.outcome(&create).await;
    assert!(matches!(&outcome, JobOutcome::Refused { error } if !error.retryable), "{outcome:?}");
    gone(&pg, &session).await;
}

async fn a_repeated_mint_of_the_same_generation_gives_a_login_that_works(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    plane.script().lose_answers = 2;
    let first = session.minted(&plane, 600).await;
    // The acknowledgement was lost: the job is leased again, to the same agent, as the next generation.
    let again = session.create(600);
    plane.queue(&again, 2);
    let second = session.dsn(&plane.outcome(&again).await);
    assert!(login(&second).await.is_ok());
    assert!(login(&first).await.is_err(), "the secret that was lost on its way opens nothing");
    eventually(SOON, "the reports are repeated", async || {
        let repeats = plane.script().repeats;
        if repeats >= 2 { Ok(()) } else { Err(format!("{repeats} repeats")) }
    })
    .await;
}

async fn what_is_owned_in_another_database_is_handed_on(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    pg.superuser("app").await.batch_execute("CREATE DATABASE \"Odd, \"\"name\"\"\"").await.unwrap();
    let other = pg.superuser("Odd, \"name\"").await;
    other.batch_execute(&gk_agent::bootstrap::script(&gk_agent::bootstrap::BootstrapOptions::default())).await.unwrap();
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    session.minted(&plane, 600).await;
    let role = session.id.role_name();
    other.batch_execute(&format!("CREATE TABLE kept (id int); ALTER TABLE kept OWNER TO {role}")).await.unwrap();

    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    let outcome = plane.outcome(&revoke).await;
    assert!(matches!(outcome, JobOutcome::Ended { dropped: true, .. }), "{outcome:?}");
    gone(&pg, &session).await;
    let owner = other.query_one("SELECT tableowner FROM pg_tables WHERE tablename = 'kept'", &[]).await.unwrap();
    assert_eq!(owner.get::<_, &str>(0), "gk_heir");
}

async fn what_cannot_be_dropped_is_reported_with_its_mend(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    // No helpers there: the agent cannot clean it.
    pg.create_database("bare").await;
    let bare = pg.superuser("bare").await;
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    let dsn = session.minted(&plane, 600).await;
    let role = session.id.role_name();
    bare.batch_execute(&format!("CREATE TABLE kept (id int); ALTER TABLE kept OWNER TO {role}")).await.unwrap();

    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    let outcome = plane.outcome(&revoke).await;
    let JobOutcome::Ended { dropped: false, blocked: Some(blocked) } = outcome else { panic!("{outcome:?}") };
    assert!(blocked.contains("bare") && blocked.contains("REASSIGN OWNED"), "{blocked}");
    assert!(login(&dsn).await.is_err(), "harmless meanwhile");
    eventually(SOON, "the look says stuck", async || {
        let script = plane.script();
        let role = script.observations.iter().rev().flat_map(|seen| &seen.roles).find(|r| r.session_id == session.id);
        match role.map(|role| (role.state, role.armed)) {
            Some((RoleState::Stuck, false)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn a_reconnect_storm_is_cut(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    let dsn = session.minted(&plane, 600).await;
    let storm: Vec<_> = (0..8)
        .map(|_| {
            let dsn = dsn.clone();
            tokio::spawn(async move {
                loop {
                    match login(&dsn).await {
                        Ok(client) => while client.batch_execute("SELECT 1").await.is_ok() {},
                        Err(_) => tokio::task::yield_now().await,
                    }
                }
            })
        })
        .collect();
    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    let outcome = plane.outcome(&revoke).await;
    assert!(matches!(outcome, JobOutcome::Ended { dropped: true, .. }), "{outcome:?}");
    let admin = pg.superuser("app").await;
    let sql = "SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid \
               WHERE a.usesysid IS NOT NULL AND r.oid IS NULL";
    assert_eq!(admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0, "nobody is left without a role");
    storm.iter().for_each(tokio::task::JoinHandle::abort);
}

async fn a_session_is_extended(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    let create = session.create(60);
    plane.queue(&create, 1);
    let JobOutcome::Minted { expires_at: before, .. } = plane.outcome(&create).await else { panic!("not minted") };
    let Job::RevokeSession(like) = session.revoke() else { unreachable!("a revoke job") };
    let extend = Job::ExtendSession(ExtendSessionJob {
        id: like.id,
        correlation_id: like.correlation_id,
        session_id: session.id,
        target: like.target,
        ttl_seconds: 1200,
    });
    plane.queue(&extend, 2);
    let outcome = plane.outcome(&extend).await;
    let JobOutcome::Extended { expires_at: after } = outcome else { panic!("{outcome:?}") };
    let longer = after.duration_since(before).as_secs();
    assert!((1100..=1200).contains(&longer), "{longer} s longer");
}
