//! What makes a repeat a repeat: the key, its owner and the body.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Answer, Caller, World, session};

async fn create(caller: &Caller, key: &str, body: serde_json::Value) -> Answer {
    let body = session(body);
    Answer::insist(|| caller.request("POST", "/v1/sessions").header("Idempotency-Key", key).json(&body)).await
}

#[tokio::test]
async fn fifty_equal_requests_at_once_make_one_session_and_get_equal_answers() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    dana.get("/v1/me").await.expect(200);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let dana = dana.clone();
        calls.spawn(async move { create(&dana, "deploy-2026-11-22", json!({})).await.expect(201).id() });
    }
    let ids: BTreeSet<String> = calls.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(agent.claim(0).await.len(), 1);
    assert_eq!(world.audit("&action=session.requested").await.len(), 1);
}

#[tokio::test]
async fn a_key_with_another_body_is_refused_and_blanks_make_no_other_body() {
    let (world, _agent) = World::with_agent().await;
    let dana = world.dana().await;
    let first = create(&dana, "deploy-2026-11-22", json!({})).await.expect(201).id();
    create(&dana, "deploy-2026-11-22", json!({"ttlSeconds": 901})).await.refused(409, "idempotency_mismatch");
    let spaced = r#"{ "reason":"debug",  "ttlSeconds":900, "role":"app_read","target":"pg-local" }"#;
    let again = dana.request("POST", "/v1/sessions").header("Idempotency-Key", "deploy-2026-11-22");
    let again = Answer::of(again.header("Content-Type", "application/json").body(spaced)).await;
    assert_eq!(again.expect(201).id(), first);
}

#[tokio::test]
async fn the_key_of_another_person_is_another_key() {
    let (world, _agent) = World::with_agent().await;
    let (dana, eve) = (world.dana().await, world.person("eve", &["requester"], &["dev"]).await);
    let danas = create(&dana, "deploy-2026-11-22", json!({})).await.expect(201).id();
    let eves = create(&eve, "deploy-2026-11-22", json!({"ttlSeconds": 60})).await.expect(201).id();
    assert_ne!(danas, eves);
}

#[tokio::test]
async fn a_service_must_send_a_key_and_a_person_need_not() {
    let (world, _agent) = World::with_agent().await;
    let dana = world.dana().await;
    dana.create(json!({})).await.expect(201);
    let ledger = world.pg.superuser("ledger").await;
    ledger.execute("UPDATE actors SET kind = 'service' WHERE name = 'dana'", &[]).await.unwrap();
    dana.create(json!({})).await.refused(400, "idempotency_key_required");
    create(&dana, "nightly-0001", json!({})).await.expect(201);
}
