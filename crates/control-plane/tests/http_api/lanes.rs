//! Ends have connections to the ledger of their own: neither a flood of new sessions nor one of guessed tokens is in
//! their way.

use std::time::{Duration, Instant};

use gk_testkit::eventually;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::{Answer, World, done};

/// Far below the time that a request waits for a connection (5 s).
const FAST: Duration = Duration::from_secs(3);

/// Backends that wait for a lock.
async fn waiting(ledger: &tokio_postgres::Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'ledger' AND wait_event_type = 'Lock'";
    ledger.query_one(sql, &[]).await.unwrap().get(0)
}

async fn fast(what: &str, request: reqwest::RequestBuilder) -> Value {
    let began = Instant::now();
    let answer = Answer::of(request).await.expect(200);
    assert!(began.elapsed() < FAST, "{what} took {:?}", began.elapsed());
    answer.body
}

#[tokio::test]
async fn ends_go_through_while_new_sessions_have_every_other_connection() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let mut ready = Vec::new();
    for _ in 0..4 {
        ready.push(dana.create(json!({})).await.expect(201).id());
        agent.work().await;
    }
    // Never used before, so that nothing is known of it when it is.
    let fresh = world.person("dana", &["requester"], &["dev"]).await;
    let ledger = world.pg.superuser("ledger").await;
    let watch = world.pg.superuser("ledger").await;
    ledger.batch_execute("BEGIN; LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let flood: Vec<JoinHandle<()>> = (0..40)
        .map(|_| {
            let dana = dana.clone();
            tokio::spawn(async move {
                loop {
                    dana.create(json!({})).await;
                }
            })
        })
        .collect();
    eventually(Duration::from_secs(20), "the flood has all it can get", async || {
        let held = waiting(&watch).await;
        if held >= 12 { Ok(()) } else { Err(held) }
    })
    .await;

    let last: gk_shared::ids::SessionId = ready[3].parse().unwrap();
    watch.execute("UPDATE sessions SET expires_at = now() WHERE id = $1", &[&last.uuid()]).await.unwrap();
    eventually(FAST, "the clock ends a session", async || {
        let sql = "SELECT desired FROM sessions WHERE id = $1";
        let desired: String = watch.query_one(sql, &[&last.uuid()]).await.unwrap().get(0);
        if desired == "absent" { Ok(()) } else { Err(desired) }
    })
    .await;
    fast("a revoke", dana.request("POST", &format!("/v1/sessions/{}/revoke", ready[0]))).await;
    fast("a revoke with a new token", fresh.request("POST", &format!("/v1/sessions/{}/revoke", ready[1]))).await;
    let ask = json!({"createSlots": 0, "revokeSlots": 8, "waitMs": 1000});
    let claimed = fast("a claim", agent.0.request("POST", "/v1/agent/jobs/claim").json(&ask)).await;
    let leases: gk_shared::wire::job::ClaimedJobs = serde_json::from_value(claimed).unwrap();
    assert_eq!(leases.jobs.len(), 3, "{leases:?}");
    for lease in &leases.jobs {
        let body = json!({"leaseToken": lease.lease_token, "generation": lease.generation, "outcome": done(lease)});
        let path = format!("/v1/agent/jobs/{}/complete", lease.job.id());
        fast("a report", agent.0.request("POST", &path).json(&body)).await;
    }
    let wait = dana.request("POST", &format!("/v1/sessions/{}/revoke?wait=1s", ready[2]));
    assert_eq!(fast("a revoke that waits", wait).await["status"], "revoking");
    let seen = json!({"target": "pg-local", "targetTime": crate::agents::now(), "complete": true, "roles": [], "dropped": [ready[2]], "clockJumpMs": 0});
    fast("an observation", agent.0.request("POST", "/v1/agent/observe").json(&seen)).await;
    fast("a pulse", agent.0.request("POST", "/v1/agent/heartbeat").json(&json!({"version": "0", "targets": []}))).await;
    assert!(waiting(&watch).await >= 12, "the flood still is one");
    fast("disabling somebody", world.admin.request("POST", "/v1/actors/dana/disable").json(&json!({}))).await;

    flood.iter().for_each(JoinHandle::abort);
    ledger.batch_execute("ROLLBACK").await.unwrap();
    let over = "SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL";
    assert_eq!(watch.query_one(over, &[]).await.unwrap().get::<_, i64>(0), 4);
}

#[tokio::test]
async fn guessed_tokens_never_take_more_than_one_connection_of_each_lane() {
    let world = World::start().await;
    let dana = world.dana().await;
    dana.get("/v1/me").await.expect(200);
    let watch = world.pg.superuser("ledger").await;
    let ledger = world.pg.superuser("ledger").await;
    ledger.batch_execute("BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let revoke = "/v1/sessions/sess_01ARZ3NDEKTSV4RRFFQ69G5FAV/revoke";
    let mut guesses = JoinSet::new();
    for guess in 0..40_u8 {
        let token = gk_shared::secret::BearerToken::generate([guess; 32]);
        let (method, path) = if guess % 2 == 0 { ("GET", "/v1/me") } else { ("POST", revoke) };
        let request = world.anonymous().request(method, path).bearer_auth(token.expose());
        guesses.spawn(async move { request.send().await.map(|answer| answer.status().as_u16()) });
    }
    let held = |count| {
        let watch = &watch;
        eventually(Duration::from_secs(20), "look-ups wait for the ledger", async move || {
            let found = waiting(watch).await;
            if found >= count { Ok(()) } else { Err(found) }
        })
    };
    held(2).await;
    let (me, end) = (dana.clone(), dana.clone());
    let known = tokio::spawn(async move { tokio::join!(me.get("/v1/me"), end.post(revoke, json!({}))) });
    held(4).await;
    // A look at what must not come: were guesses not in line, a dozen more would be here within milliseconds.
    for _ in 0..15 {
        assert_eq!(waiting(&watch).await, 4, "one guess and one known token in each lane");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ledger.batch_execute("ROLLBACK").await.unwrap();
    let (me, end) = known.await.unwrap();
    me.expect(200);
    end.refused(404, "not_found");
    for status in guesses.join_all().await {
        assert!(matches!(status, Ok(401)), "{status:?}");
    }
}
