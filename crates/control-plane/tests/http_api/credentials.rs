//! Who gets to read a credential: the token or the key that it was sealed to, and nobody else.

use gk_shared::seal::{RecipientSecret, SealedCredential};
use serde_json::json;

use crate::support::{DSN, World};

#[tokio::test]
async fn only_the_very_token_that_asked_gets_the_dsn() {
    let (world, agent) = World::with_agent().await;
    let (dana, other) = (world.dana().await, world.dana().await);
    let path = format!("/v1/sessions/{}", dana.create(json!({})).await.expect(201).id());
    agent.work().await;
    let with_other = other.get(&path).await.expect(200).body;
    assert_eq!((with_other["status"].as_str(), with_other.get("dsn")), (Some("ready"), None));
    assert_eq!(dana.get(&path).await.expect(200).body["dsn"], DSN);
    assert!(!world.admin.get(&path).await.expect(200).text.contains("s3cret"));
    assert!(!dana.get("/v1/sessions").await.expect(200).text.contains("s3cret"), "lists never hold credentials");
    dana.get(&path).await.expect(200);
    let read = world.audit("&action=session.credential_read").await;
    assert_eq!(read.len(), 1, "only the first reading is an event");
}

#[tokio::test]
async fn a_key_that_was_sent_gets_the_sealed_credential_and_opens_it() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let secret = RecipientSecret::generate(&mut rand::rng());
    let created = dana.create(json!({"recipientPublicKey": secret.public().to_string()})).await.expect(201);
    agent.work().await;
    let ready = dana.get(&format!("/v1/sessions/{}", created.id())).await.expect(200).body;
    assert!(ready.get("dsn").is_none());
    assert_eq!(ready["recipientFingerprint"], secret.public().fingerprint());
    let sealed: SealedCredential = ready["sealedCredential"].as_str().unwrap().parse().unwrap();
    let dsn = secret.open(&sealed, created.id().parse().unwrap(), &"pg-local".parse().unwrap()).unwrap();
    assert_eq!(dsn.expose(), DSN);
}

#[tokio::test]
async fn the_ledger_never_holds_a_token_or_a_credential() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    dana.create(json!({})).await.expect(201);
    agent.work().await;
    let dump =
        std::process::Command::new(world.pg.program("pg_dump")).arg(world.pg.superuser_dsn("ledger")).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let dump = String::from_utf8_lossy(&dump.stdout);
    assert!(dump.contains("session.created") && !dump.contains("s3cret") && !dump.contains(dana.token()));
}

#[tokio::test]
async fn a_credential_is_erased_when_its_session_ends() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let path = format!("/v1/sessions/{}", dana.create(json!({})).await.expect(201).id());
    agent.work().await;
    dana.post(&format!("{path}/revoke"), json!({})).await.expect(200);
    assert!(dana.get(&path).await.expect(200).body.get("dsn").is_none());
    let ledger = world.pg.superuser("ledger").await;
    let kept =
        ledger.query_one("SELECT count(*) FROM sessions WHERE sealed_credential IS NOT NULL", &[]).await.unwrap();
    assert_eq!(kept.get::<_, i64>(0), 0);
}
