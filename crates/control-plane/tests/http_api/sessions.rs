//! The life of a session over HTTP: asked for, made, looked at, extended, ended.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Answer, DSN, World, session};

#[tokio::test]
async fn a_session_goes_from_request_to_credential_to_proof_of_its_end() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;

    let created = dana.create(json!({"ticket": "OPS-1"})).await.expect(201);
    let id = created.id();
    assert_eq!(created.body["status"], "provisioning");
    assert_eq!(created.headers["location"], format!("/v1/sessions/{id}").as_str());
    assert_eq!(created.headers["cache-control"], "no-store");

    agent.work().await;
    let ready = dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body;
    assert_eq!(ready["status"], "ready", "{ready}");
    assert_eq!(ready["dsn"], DSN);
    assert!((890..=900).contains(&ready["expiresInSeconds"].as_i64().unwrap()), "{ready}");

    let revoking = dana.post(&format!("/v1/sessions/{id}/revoke"), json!({"reason": "done"})).await.expect(200).body;
    assert_eq!(revoking["status"], "revoking");
    assert!(revoking.get("dsn").is_none());
    agent.work().await;
    let over = dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body;
    assert_eq!((&over["status"], &over["endedBy"]), (&json!("revoked"), &json!("dana")), "{over}");
    assert!(over.get("dsn").is_none() && over["cutAt"].is_string() && over["endedAt"].is_string());

    let events = world.audit(&format!("&session={id}")).await;
    let actions: Vec<_> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "session.requested",
            "session.created",
            "session.credential_read",
            "session.ending",
            "session.cut",
            "session.cleaned"
        ]
    );
    assert!(events.iter().all(|event| event["request"].as_str().unwrap().starts_with("req_")));
    world.stop().await;
}

#[tokio::test]
async fn a_create_that_waits_answers_as_soon_as_the_credential_is_there() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let before = Instant::now();
    let ask = Answer::of(dana.request("POST", "/v1/sessions?wait=20s").json(&session(json!({}))));
    let (created, _) = tokio::join!(ask, agent.work());
    assert_eq!(created.expect(201).body["dsn"], DSN);
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_create_that_waits_in_vain_answers_with_the_state_as_it_is() {
    let (world, _agent) = World::with_agent().await;
    let dana = world.dana().await;
    let created = Answer::of(dana.request("POST", "/v1/sessions?wait=300ms").json(&session(json!({})))).await;
    assert_eq!(created.expect(201).body["status"], "provisioning");
}

#[tokio::test]
async fn a_revoke_that_waits_answers_with_the_proof() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let id = dana.create(json!({})).await.expect(201).id();
    agent.work().await;
    let (revoked, _) =
        tokio::join!(Answer::of(dana.request("POST", &format!("/v1/sessions/{id}/revoke?wait=20s"))), agent.work());
    assert_eq!(revoked.expect(200).body["status"], "revoked");
    let again = dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200);
    assert_eq!(again.body["status"], "revoked", "an end may be repeated");
}

#[tokio::test]
async fn a_thousand_revokes_at_once_end_a_session_once() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let id = dana.create(json!({})).await.expect(201).id();
    agent.work().await;
    let path = format!("/v1/sessions/{id}/revoke");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (dana, path) = (dana.clone(), path.clone());
        calls.spawn(async move { Answer::insist(|| dana.request("POST", &path)).await.status });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(agent.claim(0).await.len(), 1);
    let events = world.audit(&format!("&session={id}&action=session.ending")).await;
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn the_clock_ends_a_session_whose_time_is_up() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let id = dana.create(json!({"ttlSeconds": 5})).await.expect(201).id();
    agent.work().await;
    let end = agent.claim_one().await;
    assert_eq!(end.job.session().to_string(), id);
    agent.report(&end, json!({"kind": "ended", "dropped": true})).await.expect(200);
    assert_eq!(dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["status"], "expired");
}

#[tokio::test]
async fn what_others_asked_for_is_the_same_404_as_what_is_not_there() {
    let (world, agent) = World::with_agent().await;
    let (dana, eve) = (world.dana().await, world.person("eve", &["requester"], &["dev"]).await);
    let id = dana.create(json!({})).await.expect(201).id();
    agent.work().await;
    let none = "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for (method, path, body) in
        [("GET", "", json!(null)), ("POST", "/revoke", json!({})), ("POST", "/extend", json!({"ttlSeconds": 60}))]
    {
        let ask = |id: &str| {
            let request = eve.request(method, &format!("/v1/sessions/{id}{path}"));
            Answer::of(if body.is_null() { request } else { request.json(&body) })
        };
        let (others, missing) = (ask(&id).await.refused(404, "not_found"), ask(none).await.refused(404, "not_found"));
        assert_eq!(others.without_request_id(), missing.without_request_id(), "{method} {path}");
    }
    assert_eq!(eve.get("/v1/sessions").await.expect(200).body["sessions"], json!([]));
    let auditor = world.person("ann", &["auditor"], &[]).await;
    let seen = auditor.get(&format!("/v1/sessions/{id}")).await.expect(200).body;
    assert!(seen.get("dsn").is_none() && seen.get("sealedCredential").is_none(), "{seen}");
    let both = world.person("bo", &["auditor", "requester"], &[]).await;
    both.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.refused(403, "self_only");
    assert_eq!(dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["status"], "ready");
    world.admin.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200);
}

#[tokio::test]
async fn an_extension_moves_the_end_within_policy_and_ceiling() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let id = dana.create(json!({})).await.expect(201).id();
    let path = format!("/v1/sessions/{id}/extend");
    dana.post(&path, json!({"ttlSeconds": 3600})).await.refused(409, "session_not_ready");
    agent.work().await;
    let ask = dana.request("POST", &format!("{path}?wait=20s")).json(&json!({"ttlSeconds": 3600}));
    let (extended, _) = tokio::join!(Answer::of(ask), agent.work());
    let left = extended.expect(200).body["expiresInSeconds"].as_i64().unwrap();
    assert!((3580..=3600).contains(&left), "{left}");
    let shorter = dana.post(&path, json!({"ttlSeconds": 60})).await.refused(409, "conflict");
    assert!(shorter.text.contains("the session already runs until 20"), "{}", shorter.text);
    dana.post(&path, json!({"ttlSeconds": 14_401})).await.refused(400, "invalid_ttl");
    dana.post(&path, json!({"ttlSeconds": 4})).await.refused(400, "invalid_ttl");
    dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200);
    dana.post(&path, json!({"ttlSeconds": 60})).await.refused(409, "session_ended");
}

#[tokio::test]
async fn an_extension_that_waits_says_why_the_end_will_not_move() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let id = dana.create(json!({})).await.expect(201).id();
    agent.work().await;
    let path = format!("/v1/sessions/{id}/extend");
    let ask = || Answer::of(dana.request("POST", &format!("{path}?wait=20s")).json(&json!({"ttlSeconds": 3600})));
    let error = json!({"code": "role_replaced", "message": "it is another role", "retryable": false});
    let refuse = async {
        let lease = agent.claim_one().await;
        let second = dana.post(&path, json!({"ttlSeconds": 3600})).await.refused(409, "conflict");
        assert!(second.text.contains("already under way"), "{}", second.text);
        agent.report(&lease, json!({"kind": "refused", "error": error})).await.expect(200)
    };
    let (answer, _) = tokio::join!(ask(), refuse);
    let answer = answer.refused(409, "conflict");
    assert!(answer.text.contains("it is another role (role_replaced)"), "{}", answer.text);
    assert_eq!(dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["status"], "ready");
    let revoke = async {
        agent.claim_one().await;
        dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200)
    };
    let (answer, _) = tokio::join!(ask(), revoke);
    answer.refused(409, "session_ended");
}

#[tokio::test]
async fn pages_show_every_session_once_and_newest_first() {
    let (world, _agent) = World::with_agent().await;
    let dana = world.dana().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(dana.create(json!({})).await.expect(201).id());
    }
    made.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = dana.get(&format!("/v1/sessions?limit=2{cursor}")).await.expect(200).body;
        seen.extend(
            page["sessions"].as_array().unwrap().iter().map(|one| one["sessionId"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, made);
    let first = dana.get("/v1/sessions?limit=2").await.expect(200).body["nextCursor"].as_str().unwrap().to_owned();
    world.admin.get(&format!("/v1/sessions?cursor={first}")).await.refused(400, "invalid_cursor");
    dana.get(&format!("/v1/sessions?live=true&cursor={first}")).await.refused(400, "invalid_cursor");
    assert_eq!(dana.get("/v1/sessions?status=ready").await.expect(200).body["sessions"], json!([]));
    assert_eq!(world.admin.get("/v1/sessions?mine=true").await.expect(200).body["sessions"], json!([]));
}

#[tokio::test]
async fn a_dry_run_asks_policy_and_makes_nothing() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let dry = |body| Answer::of(dana.request("POST", "/v1/sessions?dryRun=true").json(&session(body)));
    let yes = dry(json!({})).await.expect(200).body;
    assert_eq!(yes, json!({"allowed": true, "rule": "dev-read", "maxTtlSeconds": 14_400}));
    assert_eq!(dry(json!({"role": "app_write"})).await.expect(200).body["allowed"], false);
    dry(json!({"ttlSeconds": 14_460})).await.refused(400, "invalid_ttl");
    assert!(agent.claim(0).await.is_empty());
}

#[tokio::test]
async fn a_denial_is_answered_and_in_the_log() {
    let (world, _agent) = World::with_agent().await;
    let dana = world.dana().await;
    for role in ["postgres", "pg_read_server_files", "gk_owner", "app_write"] {
        dana.create(json!({"role": role})).await.refused(403, "role_not_allowed");
    }
    let unknown = dana.create(json!({"target": "pg-none"})).await.refused(404, "not_found");
    let unseen = world.person("eve", &["requester"], &[]).await.create(json!({})).await.refused(404, "not_found");
    assert_eq!(unknown.without_request_id(), unseen.without_request_id());
    let denied = world.audit("&action=session.denied").await;
    assert_eq!(denied.len(), 6);
    assert_eq!((&denied[0]["actor"], &denied[0]["outcome"]), (&json!("dana"), &json!("denied")));
}

#[tokio::test]
async fn a_target_that_an_admin_can_list_but_not_use_is_denied_and_not_missing() {
    let (world, _agent) = World::with_agent().await;
    let denied = world.admin.create(json!({})).await.refused(403, "role_not_allowed");
    assert_eq!(denied.body["detail"], "no rule of the policy lets you use `app_read` on `pg-local`");
    world.admin.create(json!({"target": "pg-none"})).await.refused(404, "not_found");
    let both = world.person("bo", &["auditor", "requester"], &[]).await;
    both.create(json!({})).await.refused(403, "role_not_allowed");
    let dry = Answer::of(world.admin.request("POST", "/v1/sessions?dryRun=true").json(&session(json!({})))).await;
    assert_eq!(dry.expect(200).body["allowed"], false);
    world.person("eve", &["requester"], &[]).await.create(json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn without_an_agent_or_a_registered_pack_the_refusal_says_so() {
    let world = World::start().await;
    world.admin.post("/v1/agents", json!({"name": "a", "targets": ["pg-local"]})).await.expect(201);
    let dana = world.dana().await;
    dana.create(json!({})).await.refused(503, "no_agent");
    world.agent("b").await;
    let svc = world.person("svc", &["requester"], &[]).await;
    svc.create(json!({"role": "unregistered"})).await.refused(422, "pack_refused");
    dana.create(json!({})).await.expect(201);
}

#[tokio::test]
async fn who_waits_for_a_session_while_the_control_plane_stops_is_told_how_it_is_now() {
    let (world, _agent) = World::with_agent().await;
    let dana = world.dana().await;
    let id = dana.create(json!({})).await.expect(201).id();
    let (ledger, watch) = (world.pg.superuser("ledger").await, world.pg.superuser("ledger").await);
    ledger.batch_execute("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let waiting = tokio::spawn(Answer::of(dana.request("GET", &format!("/v1/sessions/{id}?wait=30s"))));
    let looks =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '-- sessions::find%'";
    gk_testkit::eventually(Duration::from_secs(15), "the request is under way", async || {
        let looks: i64 = watch.query_one(looks, &[]).await.unwrap().get(0);
        if looks == 1 { Ok(()) } else { Err(looks) }
    })
    .await;
    let begun = Instant::now();
    // Told to stop first, and let look at the session after that.
    let (_pg, unlocked) = tokio::join!(world.stop(), ledger.batch_execute("ROLLBACK"));
    unlocked.unwrap();
    let told = waiting.await.unwrap().expect(200);
    assert_eq!((told.id(), &told.body["status"]), (id, &json!("provisioning")), "it exists, and is not ready");
    assert!(begun.elapsed() < Duration::from_secs(20), "it does not wait for its own time: {:?}", begun.elapsed());
}
