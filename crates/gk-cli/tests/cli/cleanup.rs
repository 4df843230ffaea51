//! `gk cleanup`, as cron runs it: 0 clean, 10 findings, 9 could not look.

use serde_json::{Value, json};

use crate::scripted::{Reply, Scripted, session};
use crate::support::{Home, Ran};

fn check(report: &Value) -> Ran {
    let report = report.clone();
    let plane = Scripted::start(move |seen| {
        let asked = seen.is("GET", "/v1/cleanup") && seen.query == "target=pg-local&maxLag=120s";
        asked.then(|| Reply::json(200, &report))
    });
    Home::at(&plane.url).gk(["cleanup", "check", "--target", "pg-local"])
}

fn target(looked: bool) -> Value {
    json!({ "target": "pg-local", "observedAt": "2026-11-22T14:00:00Z", "looked": looked, "roles": 3 })
}

fn finding() -> Value {
    json!({
        "target": "pg-local", "roleName": session().role_name(), "sessionId": session(), "status": "quarantined",
        "overdueSeconds": 360, "dangerous": false, "detail": "owns public.t9",
    })
}

#[test]
fn clean_is_exit_0_and_says_nothing_on_stdout() {
    check(&json!({ "targets": [target(true)], "findings": [] })).exits(0).silent().says("1 target clean");
}

#[test]
fn a_finding_is_exit_10_and_names_the_role_and_what_to_run() {
    let ran = check(&json!({ "targets": [target(false)], "findings": [finding()] })).exits(10);
    insta::assert_snapshot!(ran.stdout, @r"
    pg-local  1 role past its end: gk_01hf7yat00e40r2081040g2081  (6m, quarantined: owns public.t9)   next: gk cleanup run --target pg-local
    pg-local  nobody could look: no agent has sent what is there   next: gk agent list
    ");
}

#[test]
fn a_target_that_nobody_could_look_at_is_exit_9() {
    let ran = check(&json!({ "targets": [target(false)], "findings": [] })).exits(9);
    assert!(ran.stdout.contains("nobody could look"), "{}", ran.stdout);
    Home::at("http://127.0.0.1:1").gk(["cleanup", "check"]).exits(9).silent();
}

#[test]
fn run_names_the_sessions_and_a_dry_run_sends_that_it_is_one() {
    let plane = Scripted::start(|seen| {
        let body = json!({ "sessions": [session()], "dryRun": seen.body["dryRun"] });
        seen.is("POST", "/v1/cleanup/run").then(|| Reply::json(200, &body))
    });
    let home = Home::at(&plane.url);
    let ran = home.gk(["cleanup", "run", "--dry-run"]).exits(0).says("1 session would be ended again");
    assert_eq!(ran.stdout, format!("{}\n", session()));
    home.gk(["cleanup", "run", "--target", "pg-local"]).exits(0).says("queued to be ended again");
    assert_eq!(plane.seen()[1].body, json!({ "target": "pg-local", "dryRun": false }));
}
