//! Who waits for the session they asked for is served by the report that makes it ready, and the log has it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Caller, DSN, World, session};

fn asking(dana: &Caller, wait: &str) -> impl Future<Output = Answer> + use<> {
    Answer::of(dana.request("POST", &format!("/v1/sessions?wait={wait}")).json(&session(json!({}))))
}

async fn readings(world: &World, id: &str) -> Vec<Value> {
    world.audit(&format!("&action=session.credential_read&session={id}")).await
}

#[tokio::test]
async fn the_credential_comes_with_the_report_and_its_reading_is_in_the_log_once() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let (created, _) = tokio::join!(asking(&dana, "20s"), agent.work());
    let created = created.expect(201);
    assert_eq!((created.body["status"].as_str(), created.body["dsn"].as_str()), (Some("ready"), Some(DSN)));
    let looked = dana.get(&format!("/v1/sessions/{}", created.id())).await.expect(200);
    assert_eq!(looked.body["dsn"], DSN);
    let without_clock = |mut view: Value| {
        view["expiresInSeconds"].take();
        view
    };
    assert_eq!(without_clock(created.body.clone()), without_clock(looked.body), "both tell the same of it");
    let readings = readings(&world, &created.id()).await;
    assert_eq!(readings.len(), 1, "{readings:?}");
    assert_eq!((&readings[0]["actor"], &readings[0]["request"]), (&json!("dana"), &created.body["correlationId"]));
    let fingerprint = created.body["recipientFingerprint"].as_str().unwrap();
    assert!(readings[0].to_string().contains(fingerprint), "{}", readings[0]);
}

#[tokio::test]
async fn who_has_left_before_the_report_is_not_in_the_log_as_served() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let created = asking(&dana, "100ms").await.expect(201);
    assert_eq!(created.body["status"], "provisioning");
    agent.work().await;
    assert!(readings(&world, &created.id()).await.is_empty());
    assert_eq!(dana.get(&format!("/v1/sessions/{}", created.id())).await.expect(200).body["dsn"], DSN);
    assert_eq!(readings(&world, &created.id()).await.len(), 1);
}

#[tokio::test]
async fn a_repeat_that_waits_beside_the_first_gets_the_same() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let ask = || {
        let request = dana.request("POST", "/v1/sessions?wait=20s").header("idempotency-key", "the-same-key");
        Answer::of(request.json(&session(json!({}))))
    };
    let (first, second, _) = tokio::join!(ask(), ask(), agent.work());
    let (first, second) = (first.expect(201), second.expect(201));
    assert_eq!((first.id(), &first.body["dsn"]), (second.id(), &second.body["dsn"]));
    assert_eq!(first.body["dsn"], DSN);
    assert_eq!(readings(&world, &first.id()).await.len(), 1);
}

#[tokio::test]
async fn who_waits_for_a_session_that_fails_hears_of_it_at_once() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let failing = async {
        let lease = agent.claim_one().await;
        let error = json!({"code": "mint_failed", "message": "no", "retryable": false});
        agent.report(&lease, json!({"kind": "refused", "error": error})).await.expect(200);
    };
    let begun = Instant::now();
    let (created, ()) = tokio::join!(asking(&dana, "20s"), failing);
    let created = created.expect(201);
    assert_eq!(created.body["error"]["code"], "mint_failed", "{}", created.text);
    assert!(created.body.get("dsn").is_none() && begun.elapsed() < Duration::from_secs(10));
    assert!(readings(&world, &created.id()).await.is_empty());
}
