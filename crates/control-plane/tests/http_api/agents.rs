//! The agent's side of the protocol: claim, renew, complete, heartbeat, observe; and all that is refused of it.

use std::time::{Duration, Instant};

use gk_shared::ids::SessionId;
use gk_shared::wire::job::Job;
use serde_json::{Value, json};

use crate::support::{Agent, Answer, World, done};

pub(crate) fn now() -> String {
    jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap().to_string()
}

async fn observe(agent: &Agent, roles: Value) -> Value {
    let seen = json!({"target": "pg-local", "targetTime": now(), "complete": true, "roles": roles});
    agent.0.post("/v1/agent/observe", seen).await.expect(200).body
}

#[tokio::test]
async fn a_job_carries_what_the_agent_needs_and_the_id_of_the_request_that_caused_it() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let created = dana.create(json!({"maxConnections": 3})).await.expect(201);
    let lease = agent.claim_one().await;
    assert_eq!(lease.job.correlation_id(), created.headers["x-request-id"].to_str().unwrap());
    let Job::CreateSession(job) = &lease.job else { panic!("{lease:?}") };
    assert_eq!((job.ttl_seconds, job.max_connections, job.requester.user_id.as_str()), (900, Some(3), "dana"));
    assert_eq!(
        (job.role.as_str(), job.pack_version.as_str(), job.reason.as_deref()),
        ("app_read", "pg-1.0.0", Some("debug"))
    );
    assert_eq!(lease.attempt, 1);
}

#[tokio::test]
async fn an_agent_that_asks_who_it_is_learns_its_targets_and_the_ledgers_time_and_is_not_heard_of_by_it() {
    let world = World::start().await;
    let ask = json!({"name": "agent-1", "targets": ["pg-far", "pg-local"]});
    let enrolled = world.admin.post("/v1/agents", ask).await.expect(201).body;
    let agent = world.caller(&enrolled["token"]);
    let me = agent.get("/v1/agent/me").await.expect(200).body;
    assert_eq!(
        (&me["agentId"], &me["name"], &me["targets"]),
        (&enrolled["agentId"], &json!("agent-1"), &json!(["pg-far", "pg-local"]))
    );
    let told: jiff::Timestamp = me["ledgerTime"].as_str().unwrap().parse().unwrap();
    let apart = told.duration_since(now().parse().unwrap()).abs();
    assert!(apart < jiff::SignedDuration::from_secs(5), "{apart:?}");
    let seen = &world.admin.get("/v1/agents").await.expect(200).body["agents"][0];
    assert_eq!((&seen["online"], &seen["lastSeenAt"]), (&json!(false), &Value::Null), "to look is no heartbeat");
    agent.get("/v1/agent/me?all=true").await.refused(400, "invalid_query");
    world.admin.get("/v1/agent/me").await.refused(403, "wrong_principal_kind");
}

#[tokio::test]
async fn a_long_poll_brings_a_job_at_once_and_ends_empty_when_its_time_is_up() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    assert!(agent.claim(200).await.is_empty());
    let began = Instant::now();
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        dana.create(json!({})).await.expect(201)
    };
    let (lease, _) = tokio::join!(agent.claim_one(), late);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(matches!(lease.job, Job::CreateSession(_)));
}

#[tokio::test]
async fn what_an_agent_had_in_hand_when_it_died_goes_to_the_next_within_seconds() {
    let (world, dead) = World::with_agent().await;
    let dana = world.dana().await;
    dana.create(json!({})).await.expect(201);
    let held = dead.claim_one().await;
    let (next, began) = (world.agent("agent-2").await, Instant::now());
    let again = next.claim_one().await;
    assert_eq!((again.job.id(), again.generation, again.attempt), (held.job.id(), held.generation + 1, 2));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    dead.report(&held, done(&held)).await.refused(409, "stale_lease");
    next.report(&again, done(&again)).await.expect(200);
}

#[tokio::test]
async fn a_lease_that_is_renewed_goes_to_nobody_else_and_its_late_result_is_taken() {
    let (world, slow) = World::with_agent().await;
    let dana = world.dana().await;
    let created = dana.create(json!({})).await.expect(201);
    let (held, next) = (slow.claim_one().await, world.agent("agent-2").await);
    let renewal = json!({"leaseToken": held.lease_token, "generation": held.generation});
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(held.lease_ms + 2000) {
        slow.0.post(&format!("/v1/agent/jobs/{}/renew", held.job.id()), renewal.clone()).await.expect(200);
        assert!(next.claim(1500).await.is_empty(), "it is renewed");
    }
    slow.report(&held, done(&held)).await.expect(200);
    assert_eq!(dana.get(&format!("/v1/sessions/{}", created.id())).await.expect(200).body["status"], "ready");
}

#[tokio::test]
async fn a_result_is_taken_once_and_a_repeat_gets_the_same_answer() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    dana.create(json!({})).await.expect(201);
    let lease = agent.claim_one().await;
    let result = done(&lease);
    assert_eq!(agent.report(&lease, result.clone()).await.expect(200).body, json!({"changed": true}));
    assert_eq!(agent.report(&lease, result).await.expect(200).body, json!({"changed": false}));
    agent.report(&lease, done(&lease)).await.refused(409, "stale_lease");
}

#[tokio::test]
async fn a_report_without_the_lease_changes_nothing() {
    let (world, agent) = World::with_agent().await;
    let (dana, other) = (world.dana().await, world.agent("agent-2").await);
    let id = dana.create(json!({})).await.expect(201).id();
    let lease = agent.claim_one().await;
    let path = format!("/v1/agent/jobs/{}", lease.job.id());
    let body =
        |token: &str, generation| json!({"leaseToken": token, "generation": generation, "outcome": done(&lease)});
    agent.0.post(&format!("{path}/complete"), body("00", lease.generation)).await.refused(409, "stale_lease");
    agent
        .0
        .post(&format!("{path}/complete"), body(&lease.lease_token, lease.generation - 1))
        .await
        .refused(409, "stale_lease");
    other.report(&lease, done(&lease)).await.refused(409, "stale_lease");
    let never = "/v1/agent/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/complete";
    agent.0.post(never, body(&lease.lease_token, 1)).await.refused(409, "stale_lease");
    let renewal = json!({"leaseToken": lease.lease_token, "generation": lease.generation});
    assert_eq!(agent.0.post(&format!("{path}/renew"), renewal.clone()).await.expect(200).body["leaseMs"], 5_000);
    other.0.post(&format!("{path}/renew"), renewal.clone()).await.refused(409, "stale_lease");
    dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200);
    agent.0.post(&format!("{path}/renew"), renewal).await.refused(409, "stale_lease");
    agent.report(&lease, done(&lease)).await.refused(409, "stale_lease");
    assert_eq!(dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["status"], "revoking");
}

#[tokio::test]
async fn a_bad_credential_or_a_foreign_role_ends_the_session() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let other_role = SessionId::from_parts(1, [1; 10]).role_name().to_string();
    let cases: [(&str, Value, u16, &str); 5] = [
        ("sealedCredential", json!(""), 422, "bad_sealed_blob"),
        ("sealedCredential", json!("A".repeat(20_000)), 422, "bad_sealed_blob"),
        ("sealedCredential", json!("age1.2.AAAA.BBBB"), 422, "bad_sealed_blob"),
        ("roleName", json!(other_role), 422, "role_mismatch"),
        ("roleName", json!("postgres"), 422, "role_mismatch"),
    ];
    for (field, value, status, code) in cases {
        let id = dana.create(json!({})).await.expect(201).id();
        let lease = agent.claim_one().await;
        let mut result = done(&lease);
        result[field] = value;
        agent.report(&lease, result).await.refused(status, code);
        let after = dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body;
        assert_eq!((&after["status"], &after["endReason"]), (&json!("revoking"), &json!("failed")), "{code}: {after}");
        assert!(matches!(agent.work().await.job, Job::RevokeSession(_)));
    }
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_and_one_that_may_not_ends_the_session() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let id = dana.create(json!({})).await.expect(201).id();
    let refused = |code: &str, retryable: bool| json!({"kind": "refused", "error": {"code": code, "message": "no room", "retryable": retryable}});
    let first = agent.claim_one().await;
    agent.report(&first, refused("target_busy", true)).await.expect(200);
    let second = agent.claim_one().await;
    assert_eq!((second.job.id(), second.attempt), (first.job.id(), 2));
    assert!(second.generation > first.generation);
    agent.report(&second, refused("pack_refused", false)).await.expect(200);
    let after = dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body;
    assert_eq!((&after["status"], &after["error"]["code"]), (&json!("revoking"), &json!("pack_refused")), "{after}");
    agent.work().await;
    assert_eq!(dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["status"], "failed");
}

#[tokio::test]
async fn what_cannot_be_dropped_is_quarantined_and_tried_again() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let id = dana.create(json!({})).await.expect(201).id();
    agent.work().await;
    dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200);
    let lease = agent.claim_one().await;
    let blocked = "prepared transaction `x`: ROLLBACK PREPARED 'x'";
    agent.report(&lease, json!({"kind": "ended", "dropped": false, "blocked": blocked})).await.expect(200);
    let after = dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body;
    assert_eq!((&after["status"], &after["blocked"]), (&json!("quarantined"), &json!(blocked)));
    let found = world.admin.get("/v1/cleanup?maxLag=0s").await.expect(200).body;
    assert_eq!(
        (&found["findings"][0]["sessionId"], &found["findings"][0]["dangerous"]),
        (&json!(id), &json!(false)),
        "{found}"
    );
    let again = world.admin.post("/v1/cleanup/run", json!({})).await.expect(200).body;
    assert_eq!(again["sessions"], json!([id]));
    agent.work().await;
    assert_eq!(dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["status"], "revoked");
}

#[tokio::test]
async fn an_observation_is_held_against_what_is_wanted() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let id = dana.create(json!({})).await.expect(201).id();
    let lease = agent.work().await;
    let role = |id: &str, armed: bool| json!({"sessionId": id, "generation": lease.generation, "state": "minted", "armed": armed, "backends": 2});
    let unknown = "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let answer = observe(&agent, json!([role(&id, true), role(unknown, true)])).await;
    assert_eq!(answer["intents"][0], json!({"sessionId": id, "desired": "present", "generation": lease.generation}));
    assert_eq!(answer["unknown"], json!([unknown]));
    assert_eq!(dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["backends"], 2);
    dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200);
    agent.work().await;
    // A look that is as old as the end may simply have missed it.
    assert!(agent.claim(0).await.is_empty());
    let ledger = world.pg.superuser("ledger").await;
    let long_ago = "UPDATE sessions SET ready_at = ready_at - interval '1 min', cut_at = cut_at - interval '1 min',
        ended_at = ended_at - interval '1 min'";
    ledger.execute(long_ago, &[]).await.unwrap();
    let answer = observe(&agent, json!([role(&id, true)])).await;
    assert_eq!(answer["intents"][0]["desired"], "absent");
    assert!(matches!(agent.claim_one().await.job, Job::RevokeSession(_)), "a role that came back is ended again");
    assert_eq!(world.audit("&action=session.resurrected").await.len(), 1);
    assert_eq!(world.audit("&action=orphan.seen").await.len(), 1);
}

#[tokio::test]
async fn an_agent_may_not_speak_for_a_target_of_another() {
    let (world, agent) = World::with_agent().await;
    world.admin.post("/v1/agents", json!({"name": "other", "targets": ["pg-far"]})).await.expect(201);
    let seen = json!({"target": "pg-far", "targetTime": now(), "complete": true, "roles": []});
    agent.0.post("/v1/agent/observe", seen).await.refused(404, "not_found");
    let health = json!({"target": "pg-far", "host": "h", "port": 1, "database": "d", "reachable": true, "packs": []});
    let beat = json!({"version": "0.1.0", "targets": [health]});
    assert_eq!(agent.0.post("/v1/agent/heartbeat", beat).await.expect(200).body["refusedTargets"], json!(["pg-far"]));
}

#[tokio::test]
async fn an_observation_beyond_measure_is_refused() {
    let (_world, agent) = World::with_agent().await;
    let id = |n: u64| SessionId::from_parts(n, [1; 10]).to_string();
    let dropped: Vec<String> = (0..20_001).map(id).collect();
    let seen = json!({"target": "pg-local", "targetTime": now(), "complete": false, "roles": [], "dropped": dropped});
    agent.0.post("/v1/agent/observe", seen.clone()).await.refused(413, "body_too_large");
    let huge = format!("{{\"target\":\"pg-local\",\"roles\":[{}]}}", "1,".repeat(3_000_000));
    let request = agent.0.request("POST", "/v1/agent/observe").header("Content-Type", "application/json").body(huge);
    Answer::of(request).await.refused(413, "body_too_large");
}
