//! Targets with standbys: a session is over when it is over on all of their servers, and not before.

use std::time::{Duration, Instant};

use gk_agent::config::{Endpoint, TargetConfig};
use gk_shared::wire::agent::EndpointRole;
use gk_shared::wire::job::{Job, JobOutcome};
use gk_testkit::{TestPg, Version, eventually};
use tokio_postgres::Client;

use super::lab::{Agent, SOON, Session, cut, gone, login, target, target_config};
use super::plane::Plane;

on_both_lines! {
    an_end_is_reported_when_nobody_is_left_on_the_standby_either,
    a_standby_that_is_behind_keeps_a_session_from_being_called_over,
    a_standby_that_is_down_is_named_and_holds_up_nobody,
    with_the_control_plane_away_what_is_over_is_cut_on_standbys,
    a_promoted_standby_is_written_to_and_an_old_primary_that_comes_back_is_cleaned,
}

/// A target with one standby.
struct Pair {
    primary: TestPg,
    standby: TestPg,
    plane: Plane,
}

impl Pair {
    /// As where a DBA without superuser ran the bootstrap: only the role itself lets its sessions be ended.
    async fn new(version: Version) -> Self {
        let primary = target(version).await;
        primary.superuser("app").await.batch_execute("REVOKE pg_signal_backend FROM gk_owner").await.unwrap();
        Self::of(primary).await
    }

    async fn of(primary: TestPg) -> Self {
        let plane = Plane::start().await;
        let standby = primary.standby().await;
        Self { primary, standby, plane }
    }

    fn config(&self) -> TargetConfig {
        let standbys = vec![Endpoint { host: "127.0.0.1".to_owned(), port: self.standby.port() }];
        TargetConfig { standbys, ..target_config(&self.primary) }
    }

    /// The same login on the standby.
    fn there(&self, dsn: &str) -> String {
        dsn.replace(&format!(":{}/", self.primary.port()), &format!(":{}/", self.standby.port()))
    }

    /// A session with a user on the standby.
    async fn user(&self, ttl_seconds: u32) -> (Session, String, Client) {
        let session = Session::new();
        let dsn = self.there(&session.minted(&self.plane, ttl_seconds).await);
        self.primary.followed_by(&self.standby).await;
        let user = login(&dsn).await.unwrap();
        (session, dsn, user)
    }

    /// Asks for the end until it is proven; gives every answer.
    async fn ended(&self, session: &Session, patience: Duration) {
        let begun = Instant::now();
        loop {
            let revoke = session.revoke();
            self.plane.queue(&revoke, 2);
            match self.plane.outcome(&revoke).await {
                JobOutcome::Ended { dropped: true, .. } => return,
                other => assert!(begun.elapsed() < patience, "{other:?}"),
            }
        }
    }
}

/// The code and the text of an end that was not proven.
async fn unproven(plane: &Plane, revoke: &Job) -> String {
    match plane.outcome(revoke).await {
        JobOutcome::Refused { error } => {
            assert_eq!((error.code.as_str(), error.retryable), ("end_unproven", true), "{}", error.message);
            error.message
        }
        other => panic!("{other:?}"),
    }
}

async fn backends(pg: &TestPg, oid: u32) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE usesysid = $1";
    pg.superuser("postgres").await.query_one(sql, &[&oid]).await.unwrap().get(0)
}

async fn oid_of(user: &Client) -> u32 {
    let sql = "SELECT oid FROM pg_roles WHERE rolname = current_user";
    user.query_one(sql, &[]).await.unwrap().get(0)
}

async fn an_end_is_reported_when_nobody_is_left_on_the_standby_either(version: Version) {
    let pair = Pair::new(version).await;
    let _agent = Agent::start(&pair.plane, vec![pair.config()]);
    let (session, dsn, user) = pair.user(600).await;
    let oid = oid_of(&user).await;
    // Clients that come back at once, there and here.
    let storm: Vec<_> = (0..8)
        .map(|n| if n % 2 == 0 { dsn.clone() } else { session_here(&pair, &dsn) })
        .map(|dsn| {
            tokio::spawn(async move {
                while let Ok(client) = login(&dsn).await {
                    wait_for_end(&client).await;
                }
            })
        })
        .collect();
    let revoke = session.revoke();
    pair.plane.queue(&revoke, 2);
    let outcome = pair.plane.outcome(&revoke).await;
    assert!(matches!(outcome, JobOutcome::Ended { dropped: true, blocked: None }), "{outcome:?}");
    assert_eq!((backends(&pair.primary, oid).await, backends(&pair.standby, oid).await), (0, 0));
    cut(&user).await;
    assert!(login(&dsn).await.is_err());
    gone(&pair.primary, &session).await;
    storm.iter().for_each(tokio::task::JoinHandle::abort);
}

fn session_here(pair: &Pair, there: &str) -> String {
    there.replace(&format!(":{}/", pair.standby.port()), &format!(":{}/", pair.primary.port()))
}

async fn wait_for_end(client: &Client) {
    while client.simple_query("SELECT pg_sleep(0.02)").await.is_ok() {}
}

async fn a_standby_that_is_behind_keeps_a_session_from_being_called_over(version: Version) {
    let pair = Pair::of(target(version).await).await;
    let _agent = Agent::start(&pair.plane, vec![pair.config()]);
    let (session, dsn, user) = pair.user(600).await;
    pair.standby.pause_replay().await;
    let revoke = session.revoke();
    pair.plane.queue(&revoke, 2);
    cut(&user).await;
    let told = unproven(&pair.plane, &revoke).await;
    assert!(told.contains(&format!("127.0.0.1:{}", pair.standby.port())) && told.contains("not replayed"), "{told}");
    assert!(login(&session_here(&pair, &dsn)).await.is_err(), "it is disarmed where it is written");
    Session::new().minted(&pair.plane, 600).await;
    pair.standby.resume_replay().await;
    pair.ended(&session, SOON).await;
    assert!(login(&dsn).await.is_err());
    gone(&pair.primary, &session).await;
}

async fn a_standby_that_is_down_is_named_and_holds_up_nobody(version: Version) {
    let mut pair = Pair::new(version).await;
    let _agent = Agent::start(&pair.plane, vec![pair.config()]);
    let (session, dsn, _user) = pair.user(600).await;
    pair.standby.stop().await;
    let revoke = session.revoke();
    pair.plane.queue(&revoke, 2);
    let told = unproven(&pair.plane, &revoke).await;
    assert!(told.contains(&format!("127.0.0.1:{}", pair.standby.port())), "{told}");
    assert!(login(&session_here(&pair, &dsn)).await.is_err(), "it is disarmed at once");
    Session::new().minted(&pair.plane, 600).await;
    eventually(SOON, "the heartbeat names it", async || {
        let beats = pair.plane.script().heartbeats.last().map(|beat| beat.targets[0].clone()).unwrap();
        let down = beats.endpoints.iter().find(|one| one.port == pair.standby.port()).unwrap();
        let known = beats.reachable && down.error.is_some() && down.unreachable_seconds.is_some();
        if known { Ok(()) } else { Err(format!("{beats:?}")) }
    })
    .await;
    pair.standby.start_again().await;
    pair.ended(&session, SOON).await;
    gone(&pair.primary, &session).await;
}

async fn with_the_control_plane_away_what_is_over_is_cut_on_standbys(version: Version) {
    let pair = Pair::new(version).await;
    let agent = Agent::start(&pair.plane, vec![pair.config()]);
    let (_session, dsn, user) = pair.user(3).await;
    pair.plane.script().down = true;
    cut(&user).await;
    assert!(login(&dsn).await.is_err());
    // The agent too: the deadman on the standby goes on.
    pair.plane.script().down = false;
    let (_session, _dsn, user) = pair.user(6).await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gk-deadman' AND state = 'active'";
    let admin = pair.standby.superuser("postgres").await;
    eventually(SOON, "the deadman runs there", async || {
        let seen: i64 = admin.query_one(sql, &[]).await.unwrap().get(0);
        if seen == 1 { Ok(()) } else { Err(seen) }
    })
    .await;
    drop(agent);
    cut(&user).await;
}

async fn a_promoted_standby_is_written_to_and_an_old_primary_that_comes_back_is_cleaned(version: Version) {
    let mut pair = Pair::new(version).await;
    let agent = Agent::start(&pair.plane, vec![pair.config()]);
    let (session, dsn, user) = pair.user(600).await;
    pair.primary.kill9();
    pair.standby.promote().await;
    user.simple_query("SELECT 1").await.expect("a promotion cuts nobody on the standby");
    let fresh = Session::new();
    let made = fresh.minted(&pair.plane, 600).await;
    assert!(login(&pair.there(&made)).await.is_ok(), "it was made where it is written by now");
    // The old primary comes back as if nothing had happened, and still lets the session in.
    pair.primary.start_again().await;
    let stale = login(&session_here(&pair, &dsn)).await.expect("nobody has told it");
    eventually(SOON, "both are known to take writes", async || {
        let beats = pair.plane.script().heartbeats.last().map(|beat| beat.targets[0].clone()).unwrap();
        let primaries = beats.endpoints.iter().filter(|one| one.role == EndpointRole::Primary).count();
        if primaries == 2 { Ok(()) } else { Err(format!("{:?}", beats.endpoints)) }
    })
    .await;
    pair.ended(&session, SOON).await;
    cut(&user).await;
    cut(&stale).await;
    assert!(login(&dsn).await.is_err() && login(&session_here(&pair, &dsn)).await.is_err());
    gone(&pair.primary, &session).await;
    gone(&pair.standby, &session).await;
    agent.stop().await;
}
