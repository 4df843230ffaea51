//! What there is to see beside sessions: targets, packs, agents, tokens, status, metrics, the contract.

use serde_json::{Value, json};

use crate::support::{Answer, World};

#[tokio::test]
async fn a_target_shows_each_person_what_they_may_have_there() {
    let (world, _agent) = World::with_agent().await;
    let dana = world.dana().await;
    let target = dana.get("/v1/targets/pg-local").await.expect(200).body;
    assert_eq!(target["roles"], json!([{"role": "app_read", "maxTtlSeconds": 14_400, "rule": "dev-read"}]));
    assert_eq!((&target["reachable"], &target["database"]), (&json!(true), &json!("app")));
    assert_eq!(dana.get("/v1/targets").await.expect(200).body["targets"], json!([target]));
    let stranger = world.person("eve", &["requester"], &[]).await;
    assert_eq!(stranger.get("/v1/targets").await.expect(200).body["targets"], json!([]));
    stranger.get("/v1/targets/pg-local").await.refused(404, "not_found");
    assert_eq!(stranger.get("/v1/packs").await.expect(200).body["packs"], json!([]));
    assert_eq!(dana.get("/v1/packs/app_read").await.expect(200).body["targets"], json!(["pg-local"]));
    dana.get("/v1/packs/none").await.refused(404, "not_found");
    assert_eq!(world.admin.get("/v1/targets/pg-local").await.expect(200).body["roles"], json!([]));
}

#[tokio::test]
async fn status_agents_and_metrics_tell_how_things_are() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    dana.create(json!({})).await.expect(201);
    agent.work().await;
    let status = dana.get("/v1/status").await.expect(200).body;
    assert_eq!((&status["sessionsReady"], &status["agentsOnline"]), (&json!(1), &json!(1)), "{status}");
    let agents = world.admin.get("/v1/agents").await.expect(200).body;
    assert_eq!((&agents["agents"][0]["name"], &agents["agents"][0]["online"]), (&json!("agent-1"), &json!(true)));
    let metrics = world.anonymous().get("/metrics").await.expect(200).text;
    for line in [
        r#"gk_http_requests_total{method="POST",route="/sessions",status="201"} 1"#,
        r#"gk_jobs_total{kind="minted",outcome="taken"} 1"#,
        r#"gk_sessions{status="ready"} 1"#,
        r#"gk_sessions{status="revoking"} 0"#,
        "gk_audit_unsealed ",
        r#"gk_ledger_connections{lane="normal",state="waiting"} 0"#,
        "gk_create_to_ready_seconds_count 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn tokens_have_bounds_and_are_shown_once() {
    let world = World::start().await;
    let make = |body: Value| world.admin.post("/v1/tokens", body);
    make(json!({"actor": "x", "scopes": []})).await.refused(400, "invalid_request");
    make(json!({"actor": "x", "scopes": ["agent"]})).await.refused(400, "invalid_request");
    make(json!({"actor": "x", "scopes": ["root"]})).await.refused(400, "invalid_request");
    make(json!({"actor": "x y", "scopes": ["requester"]})).await.refused(400, "invalid_name");
    for name in ["system", "anonymous"] {
        make(json!({"actor": name, "scopes": ["requester"]})).await.refused(400, "invalid_name");
    }
    make(json!({"actor": "x", "scopes": ["requester"], "ttlSeconds": 59})).await.refused(400, "invalid_ttl");
    make(json!({"actor": "x", "scopes": ["requester"], "email": "x"})).await.refused(400, "invalid_text");
    let made =
        make(json!({"actor": "x", "scopes": ["requester", "requester"], "ttlSeconds": 60})).await.expect(201).body;
    assert_eq!(made["scopes"], json!(["requester"]));
    let list = world.admin.get("/v1/tokens").await.expect(200).text;
    assert!(list.contains(made["tokenId"].as_str().unwrap()) && !list.contains(made["token"].as_str().unwrap()));
    world.admin.post("/v1/tokens/tok_01ARZ3NDEKTSV4RRFFQ69G5FAV/revoke", json!({})).await.refused(404, "not_found");
    world.admin.post("/v1/agents", json!({"name": "a", "targets": []})).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_tail_of_the_log_waits_for_the_next_event_and_pages_by_place() {
    let world = World::start().await;
    world.audit("").await;
    let size = world.admin.get("/v1/audit/checkpoints").await.expect(200).body["size"].as_i64().unwrap();
    let tail = Answer::of(world.admin.request("GET", &format!("/v1/audit/events?after={size}&wait=20s")));
    let (tail, _) = tokio::join!(tail, world.dana());
    let page = tail.expect(200).body;
    assert_eq!(page["events"][0]["seq"], size + 1);
    let first = world.admin.get("/v1/audit/events?limit=1").await.expect(200).body;
    assert_eq!((&first["nextAfter"], &first["more"]), (&json!(1), &json!(true)));
    world.admin.get("/v1/audit/events?limit=1001").await.refused(400, "invalid_limit");
    world.admin.get("/v1/audit/events?action=nothing").await.refused(400, "invalid_query");
    world.admin.get("/v1/audit/events?after=-1").await.refused(400, "invalid_query");
}

#[tokio::test]
async fn the_contract_lists_every_route_with_its_scope_and_its_problems() {
    let world = World::start().await;
    let document = world.anonymous().get("/openapi.json").await.expect(200).body;
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{method} {path}");
            assert_eq!(operation["security"].is_null(), !path.starts_with("/v1/"), "{method} {path}");
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{method} {path} has the id of another"
            );
        }
    }
    assert!(document["paths"]["/v1/sessions"]["post"].is_object() && document["paths"]["/livez"]["get"].is_object());
    let text = document.to_string();
    let refs = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in refs {
        assert!(document["components"]["schemas"][name].is_object(), "{name} is referred to and not there");
    }
}
