//! The deadman goes on after its client was killed, after an error, and only once in a database.

use crate::lab::{AGENT_PASSWORD, Lab, Mint, SOON, refusal};
use gk_testkit::{Version, eventually};
use std::process::{Child, Command, Stdio};

on_both_lines!(
    the_deadman_outlives_its_killed_client_and_cuts_and_drops,
    the_deadman_survives_an_error_in_a_tick,
    an_end_that_is_near_is_waited_for_closely,
    a_second_deadman_leaves_at_once_and_an_idle_one_too,
    a_user_cannot_keep_the_deadman_away,
    a_deadman_that_its_own_settings_would_end_says_so,
);

const SETTINGS: &str = "SET statement_timeout = 0; SET client_connection_check_interval = 0;";

/// A deadman started by a process of its own, so that the process can be killed.
fn deadman_process(lab: &Lab) -> Child {
    Command::new(lab.pg.psql())
        .args(["-X", "-q", "-h", "127.0.0.1", "-p", &lab.pg.port().to_string(), "-U", "gk_agent", "-d", "app"])
        .args(["-c", "SET statement_timeout = 0", "-c", "SET client_connection_check_interval = 0"])
        .args(["-c", "CALL gk.deadman('100 milliseconds', '1 hour')"])
        .env("PGPASSWORD", AGENT_PASSWORD)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn deadman_runs(lab: &Lab, wanted: bool) {
    let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity a JOIN gk.watch w USING (pid) WHERE state = 'active' AND query LIKE 'CALL gk.deadman%')";
    eventually(SOON, "the deadman is as wanted", async || match lab.truth(sql).await {
        seen if seen == wanted => Ok(()),
        seen => Err(format!("runs: {seen}")),
    })
    .await;
}

async fn stop_deadman(lab: &Lab) {
    let sql = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'CALL gk.deadman%' AND pid <> pg_backend_pid()";
    lab.truth(sql).await;
}

pub(crate) async fn the_deadman_outlives_its_killed_client_and_cuts_and_drops(version: Version) {
    let lab = Lab::new(version).await;
    let mut client = deadman_process(&lab);
    deadman_runs(&lab, true).await;
    client.kill().unwrap();
    client.wait().unwrap();
    let session = lab.minted(&Mint::ttl("1 second")).await;
    let user = lab.login(&session).await.unwrap();
    eventually(SOON, "the user is cut", async || user.is_closed().then_some(()).ok_or("connected")).await;
    eventually(SOON, "the role is gone", async || (!lab.role_exists(&session).await).then_some(()).ok_or("there"))
        .await;
    deadman_runs(&lab, true).await;
    stop_deadman(&lab).await;
}

pub(crate) async fn the_deadman_survives_an_error_in_a_tick(version: Version) {
    let lab = Lab::new(version).await;
    let mut client = deadman_process(&lab);
    deadman_runs(&lab, true).await;
    lab.dba.batch_execute("ALTER TABLE gk.clock_mark RENAME TO hidden").await.unwrap();
    eventually(SOON, "a tick fails", async || {
        lab.pg.log_text().contains("gk.deadman: tick failed").then_some(()).ok_or("none")
    })
    .await;
    lab.dba.batch_execute("ALTER TABLE gk.hidden RENAME TO clock_mark").await.unwrap();
    let session = lab.minted(&Mint::ttl("1 second")).await;
    eventually(SOON, "the role is gone", async || (!lab.role_exists(&session).await).then_some(()).ok_or("there"))
        .await;
    stop_deadman(&lab).await;
    client.wait().unwrap();
}

pub(crate) async fn an_end_that_is_near_is_waited_for_closely(version: Version) {
    let lab = Lab::new(version).await;
    let busy = "SELECT busy FROM gk.deadman_tick()";
    lab.minted(&Mint::ttl("1 hour")).await;
    assert!(!lab.truth(busy).await, "an hour is not near");
    lab.minted(&Mint::ttl("900 milliseconds")).await;
    assert!(lab.truth(busy).await, "the next look comes soon");
}

pub(crate) async fn a_second_deadman_leaves_at_once_and_an_idle_one_too(version: Version) {
    let lab = Lab::new(version).await;
    let mut client = deadman_process(&lab);
    deadman_runs(&lab, true).await;
    lab.agent.batch_execute(SETTINGS).await.unwrap();
    lab.agent.batch_execute("CALL gk.deadman('100 milliseconds', '1 hour')").await.unwrap();
    stop_deadman(&lab).await;
    client.wait().unwrap();
    deadman_runs(&lab, false).await;
    lab.agent.batch_execute("CALL gk.deadman('100 milliseconds', '0')").await.unwrap();
    assert!(lab.truth("SELECT pid IS NULL FROM gk.watch").await, "whoever leaves frees the watch");
}

/// An advisory lock could be taken by anybody who may connect; the watch cannot.
pub(crate) async fn a_user_cannot_keep_the_deadman_away(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::ttl("3 seconds")).await;
    let user = lab.login(&session).await.unwrap();
    user.batch_execute("SELECT pg_advisory_lock(a, b) FROM generate_series(0, 20) a, generate_series(0, 20) b")
        .await
        .unwrap();
    assert!(user.batch_execute("UPDATE gk.watch SET pid = pg_backend_pid()").await.is_err());
    let mut client = deadman_process(&lab);
    deadman_runs(&lab, true).await;
    eventually(SOON, "the user is cut", async || user.is_closed().then_some(()).ok_or("connected")).await;
    stop_deadman(&lab).await;
    client.wait().unwrap();
}

pub(crate) async fn a_deadman_that_its_own_settings_would_end_says_so(version: Version) {
    let lab = Lab::new(version).await;
    for setting in ["statement_timeout = '10s'", "client_connection_check_interval = '1s'"] {
        lab.agent.batch_execute(&format!("{SETTINGS} SET {setting}")).await.unwrap();
        let refused = lab.agent.batch_execute("CALL gk.deadman('1 second', '1 minute')").await;
        assert_eq!(refusal(refused), "55000", "{setting}");
    }
    lab.agent.batch_execute(SETTINGS).await.unwrap();
    for call in ["'0', '1 min'", "'1 hour', '1 min'", "NULL, '1 min'", "'1 s', NULL", "'1 s', '-1 s'"] {
        assert_eq!(refusal(lab.agent.batch_execute(&format!("CALL gk.deadman({call})")).await), "22023", "{call}");
    }
}
