//! Signed checkpoints over HTTP, and a control plane whose log went back: it grants nothing and ends everything.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use gk_control_plane::config::Limits;
use gk_control_plane::notary::{AuditConfig, CheckpointFile};
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::witness::{Advance, advance};
use gk_shared::audit::{SealedHead, Trust};
use gk_shared::wire::audit::Checkpoint;
use serde_json::{Value, json};

use crate::binary::{Home, program, refused, run};
use crate::support::{Caller, World};

/// What `World` is signed with.
fn audit(file: Option<PathBuf>) -> AuditConfig {
    let key = SigningKey::from_seed([7; 32].into());
    AuditConfig { signing_key: Some(Arc::new(key)), checkpoint_file: file, ..AuditConfig::default() }
}

async fn checkpoint(caller: &Caller, path: &str) -> Checkpoint {
    serde_json::from_value(caller.get(path).await.expect(200).body).unwrap()
}

fn sealed(checkpoint: &Checkpoint) -> SealedHead {
    checkpoint.sealed().expect("is signed")
}

#[tokio::test]
async fn an_agent_and_an_auditor_follow_the_log_over_http() {
    let world = World::audited(Limits::default(), audit(None)).await;
    let agent = world.agent("agent-1").await;
    let first = checkpoint(&agent.0, "/v1/agent/checkpoint").await;
    let more = world.agent("agent-2").await;
    let fresh = checkpoint(&world.admin, &format!("/v1/audit/checkpoints?fresh=true&from={}", first.size)).await;
    assert!(fresh.size > first.size, "{} {}", fresh.size, first.size);
    let step = advance(&Trust::default(), Some(&sealed(&first)), &sealed(&fresh), fresh.proof().as_deref());
    assert!(matches!(step, Ok(Advance::Keep(_))), "{step:?}");
    let same = checkpoint(&more.0, &format!("/v1/agent/checkpoint?from={}", fresh.size)).await;
    assert_eq!(same.note, fresh.note);
    agent.0.get("/v1/agent/checkpoint?from=-1").await.refused(400, "invalid_query");
    agent.0.get("/v1/agent/checkpoint?fresh=true").await.refused(400, "invalid_query");
}

/// Each key that the log ever had goes with each heartbeat.
#[tokio::test]
async fn a_heartbeat_may_carry_the_keys_of_a_thousand_rotations() {
    let world = World::audited(Limits::default(), audit(None)).await;
    let agent = world.agent("agent-1").await;
    let mut seen = sealed(&checkpoint(&world.admin, "/v1/audit/checkpoints?fresh=true").await);
    seen.epochs = vec![seen.epochs[0].clone(); 1000];
    let heartbeat = json!({"version": "0.1.0", "targets": [], "witnessed": seen});
    assert!(heartbeat.to_string().len() > 64 * 1024);
    agent.0.post("/v1/agent/heartbeat", heartbeat).await.expect(200);
}

/// The last event goes, as with a restored backup.
const ROLL_BACK: &str = "ALTER TABLE audit_links DISABLE TRIGGER ALL;
    DELETE FROM audit_links WHERE seq >= (SELECT max(size) FROM audit_checkpoints)";

#[tokio::test]
async fn a_log_that_went_back_behind_a_witness_gives_nothing_and_ends_everything() {
    let world = World::audited(Limits::default(), audit(None)).await;
    let agent = world.agent("agent-1").await;
    let dana = world.dana().await;
    let id = dana.create(json!({})).await.expect(201).id();
    agent.work().await;
    let seen = sealed(&checkpoint(&world.admin, "/v1/audit/checkpoints?fresh=true").await);
    let heartbeat = json!({"version": "0.1.0", "targets": [], "witnessed": seen});
    agent.0.post("/v1/agent/heartbeat", heartbeat.clone()).await.expect(200);
    assert!(world.admin.get("/metrics").await.text.contains("gk_audit_regression 0"));

    world.pg.superuser("ledger").await.batch_execute(ROLL_BACK).await.unwrap();
    agent.0.post("/v1/agent/heartbeat", heartbeat).await.expect(200);
    dana.create(json!({})).await.refused(503, "audit_regression");
    let extend = json!({"ttlSeconds": 1800});
    let refused = dana.post(&format!("/v1/sessions/{id}/extend"), extend).await.refused(503, "audit_regression");
    assert!(refused.body["detail"].as_str().unwrap().contains("agent agent-1"), "{}", refused.text);
    assert_eq!(refused.body["retryable"], json!(false));
    dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200);
    agent.work().await;
    let status = dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["status"].clone();
    assert_eq!(status, "revoked");
    assert!(world.admin.get("/metrics").await.text.contains("gk_audit_regression 1"));
    let told = world.audit("&action=audit.regression").await;
    assert_eq!((told.len(), &told[0]["actor"]), (1, &Value::from("system")));
}

#[tokio::test]
async fn the_last_word_of_a_control_plane_that_stops_is_signed_and_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("checkpoints");
    let world = World::audited(Limits::default(), audit(Some(file.clone()))).await;
    world.dana().await;
    let pg = world.stop().await;
    let newest = CheckpointFile::new(file.clone()).newest().await.unwrap().expect("has lines");
    let size = Trust::default().open(&newest).unwrap().checkpoint.head.size;
    let count = "SELECT (SELECT count(*) FROM audit_events), (SELECT max(size) FROM audit_checkpoints)";
    let row = pg.superuser("ledger").await.query_one(count, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (size, size));
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_key_is_made_once_replaced_by_the_next_and_shown_to_those_who_pin_it() {
    let (home, world) = (Home::new(), World::start().await);
    let (first, next) = (home.path("first.key"), home.path("next.key"));
    let (first_key, next_key) = (first.to_str().unwrap(), next.to_str().unwrap());
    let config = home.settings(&world.pg.superuser_dsn("ledger"), "listen = '127.0.0.1:4997'");
    assert!(run(&config, &["audit-key", "--out", first_key]).await.status.success());
    assert_eq!(std::fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
    refused(&run(&config, &["audit-key", "--out", first_key]).await, "config_invalid", "File exists");
    let rotate = ["audit-key", "--rotate", "--out", next_key];
    refused(&run(&config, &rotate).await, "config_invalid", "name no audit.signing_key_file");

    let text = std::fs::read_to_string(&config).unwrap();
    let with = |key: &str| home.file("signing.toml", format!("{text}\n[audit]\nsigning_key_file = '{key}'\n"), 0o644);
    let rotated = run(&with(first_key), &rotate).await;
    let verifier = String::from_utf8(rotated.stdout).unwrap();
    assert!(rotated.status.success() && verifier.starts_with("gatekeeper/"), "{verifier}");
    let shown = String::from_utf8(run(&config, &["audit-key", "--show"]).await.stdout).unwrap();
    assert!(shown.lines().count() == 2 && shown.ends_with(&verifier), "{shown}");
    assert_eq!(world.audit("&action=audit.key_rotated").await.len(), 1);

    // The old key introduces nobody any more, and the file of the one it was to introduce is not left behind.
    let third = home.path("third.key");
    let again = ["audit-key", "--rotate", "--out", third.to_str().unwrap()];
    refused(&run(&with(first_key), &again).await, "config_invalid", "the signing key was retired");
    assert!(!third.exists());
    let stopped = run(&with(first_key), &["run"]).await;
    let said = String::from_utf8(stopped.stderr).unwrap();
    assert!(stopped.status.code() == Some(2) && said.matches("the signing key was retired").count() == 1, "{said}");
    let named = program(&config, &["config", "check"]).env("GK_AUDIT_KEY_FILE", next_key).output().await.unwrap();
    assert!(named.status.success(), "{}", String::from_utf8_lossy(&named.stderr));
    home.file("next.key", "hello\n", 0o600);
    let named = program(&config, &["config", "check"]).env("GK_AUDIT_KEY_FILE", next_key).output().await.unwrap();
    refused(&named, "config_invalid", "is not a signing key");
    refused(&run(&with(next_key), &["config", "check"]).await, "config_invalid", "is not a signing key");
}
