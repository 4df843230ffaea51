//! `gk-agent doctor`: looks, changes nothing, and tells what must be mended from what is only advised.

use std::path::Path;

use gk_testkit::{TestPg, Version};

use super::lab::target;
use super::plane::Plane;
use super::program::{Program, output, text, write_config};

on_both_lines! {
    a_sound_set_up_passes_and_is_only_advised,
}

/// The doctor's answer: exit code and report.
fn report(config: &Path, more: &[&str]) -> (Option<i32>, serde_json::Value) {
    let ran = output(&[&["--config", config.to_str().unwrap(), "doctor", "--json"], more].concat());
    let report = serde_json::from_slice(&ran.stdout);
    (ran.status.code(), report.unwrap_or_else(|error| panic!("{error}: {}", text(&ran.stderr))))
}

fn check<'r>(report: &'r serde_json::Value, name: &str) -> &'r serde_json::Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["check"] == name).unwrap()
}

/// Everything that a look could have changed on the target.
async fn books(pg: &TestPg) -> String {
    let sql = "SELECT concat_ws(' ', (SELECT json_agg(f) FROM gk.fence f), (SELECT json_agg(s) FROM gk.setting s),
        (SELECT json_agg(c) FROM gk.clock_mark c), (SELECT json_agg(r.rolname ORDER BY r.rolname) FROM pg_roles r))";
    pg.superuser("app").await.query_one(sql, &[]).await.unwrap().get(0)
}

async fn a_sound_set_up_passes_and_is_only_advised(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), &plane, &pg);
    let before = books(&pg).await;
    let (code, seen) = report(&config, &[]);
    assert_eq!((code, &seen["ok"]), (Some(0), &true.into()), "{seen:#}");
    assert_eq!(check(&seen, "public_temp")["verdict"], "advice", "{seen:#}");
    assert_eq!(check(&seen, "scram_iterations")["verdict"], "well", "{seen:#}");
    assert_eq!(check(&seen, "token")["subject"], "control plane");
    assert_eq!(report(&config, &["--strict"]).0, Some(10), "advice counts where it is wanted");
    assert_eq!(books(&pg).await, before);
    let script = plane.script();
    let written = (script.heartbeats.len(), script.observations.len(), script.claims.len(), script.results.len());
    assert_eq!(written, (0, 0, 0, 0), "nobody takes the doctor for an agent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_rounds_are_told_by_the_doctor_and_at_the_start() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), &plane, &pg);
    let weaker = format!("{}scram_iterations = 1024\n", std::fs::read_to_string(&config).unwrap());
    std::fs::write(&config, &weaker).unwrap();
    let (code, seen) = report(&config, &[]);
    let found = check(&seen, "scram_iterations");
    assert_eq!((code, &found["verdict"]), (Some(10), &"fix".into()), "{seen:#}");
    assert!(found["detail"].as_str().unwrap().contains("set target.scram_iterations to 4096"), "{found}");
    let mend = found["mend"].as_str().unwrap();
    let sql = mend.split_once("on the target: ").unwrap().1;

    let mut agent = Program::with(&plane, &pg, &weaker).await;
    agent.logs("no session can be made").await;
    agent.stop();
    // What it prints is what mends it.
    pg.superuser("app").await.batch_execute(sql).await.unwrap();
    assert_eq!(report(&config, &[]).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_the_agent_is_not_enrolled_for_is_told_with_the_command_that_enrols_it() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), &plane, &pg);
    let served = report(&config, &[]).1;
    assert_eq!(check(&served, "targets")["verdict"], "well", "{served:#}");
    plane.script().enrolled = vec!["pg-far".to_owned()];
    let (code, seen) = report(&config, &[]);
    let found = check(&seen, "targets");
    assert_eq!((code, &found["subject"], &found["verdict"]), (Some(10), &"control plane".into(), &"fix".into()));
    assert!(found["detail"].as_str().unwrap().contains("agent-1 is not enrolled for pg-local"), "{found}");
    let mend = found["mend"].as_str().unwrap();
    assert!(mend.starts_with("gk agent enroll agent-1 --target pg-far --target pg-local --out "), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_with_another_time_is_a_finding() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), &plane, &pg);
    plane.script().ahead = 60;
    let (code, seen) = report(&config, &[]);
    let skews: Vec<_> =
        seen["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "clock_skew").collect();
    let verdict = |subject: &str| &skews.iter().find(|check| check["subject"] == subject).unwrap()["verdict"];
    assert_eq!((code, verdict("control plane"), verdict("pg-local")), (Some(10), &"fix".into(), &"well".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_does_not_work_is_a_finding() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), &plane, &pg);
    let other = gk_shared::secret::BearerToken::generate([9; 32]);
    std::fs::write(dir.path().join("token"), other.expose()).unwrap();
    let (code, seen) = report(&config, &[]);
    let found = seen["checks"].as_array().unwrap().iter().rfind(|check| check["check"] == "reachable").unwrap();
    assert_eq!((code, &found["subject"], &found["verdict"]), (Some(10), &"control plane".into(), &"fix".into()));
    assert!(found["detail"].as_str().unwrap().contains("token_invalid"), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_names_what_is_missing_and_the_sql_that_mends_it() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), &plane, &pg);
    let config = config.to_str().unwrap();
    let admin = pg.superuser("app").await;
    admin.batch_execute("REVOKE pg_signal_backend FROM gk_owner").await.unwrap();
    admin
        .batch_execute("SELECT gk.pack_enable('app_write', version, false) FROM gk.packs() WHERE name = 'app_write'")
        .await
        .unwrap();

    let found = output(&["--config", config, "doctor", "--json"]);
    assert_eq!(found.status.code(), Some(10), "{}", text(&found.stderr));
    let report: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let check = |name: &str| report["checks"].as_array().unwrap().iter().find(|c| c["check"] == name).unwrap().clone();
    assert_eq!(check("helpers_version")["verdict"], "well");
    assert_eq!(check("pack_app_read")["verdict"], "well");
    assert_eq!(check("pack_app_write")["verdict"], "fix");
    assert_eq!(check("signal")["verdict"], "advice");
    assert_eq!(check("signal")["mend"], "GRANT pg_signal_backend TO gk_owner;");

    let lines = text(&output(&["--config", config, "doctor"]).stdout);
    assert!(lines.contains("better: GRANT pg_signal_backend TO gk_owner;"), "{lines}");

    plane.script().down = true;
    admin.batch_execute("DROP SCHEMA gk CASCADE").await.unwrap();
    let lines = text(&output(&["--config", config, "doctor"]).stdout);
    assert!(lines.contains("gk-agent bootstrap --print"), "{lines}");
    assert!(lines.lines().any(|line| line.starts_with("FIX control plane")), "{lines}");
}
