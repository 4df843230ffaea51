//! Agents that are to be stopped, and what is found in the log.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn an_agent_that_drains_begins_nothing_more_and_ends_what_there_is() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let ready = dana.create(json!({})).await.expect(201);
    agent.work().await;
    let queued = dana.create(json!({"reason": "in the queue"})).await.expect(201);
    let drained = world.admin.post("/v1/agents/agent-1/drain", json!({})).await.expect(200).body;
    assert!(drained["drainingAt"].is_string() && drained["jobs"] == 0, "{drained}");
    let again = world.admin.post("/v1/agents/agent-1/drain", json!({})).await.expect(200).body;
    assert_eq!(again["drainingAt"], drained["drainingAt"], "it may be repeated");
    assert!(agent.claim(200).await.is_empty(), "what waits is for another agent");
    dana.create(json!({"reason": "nobody is left"})).await.refused(503, "no_agent");
    dana.post(&format!("/v1/sessions/{}/extend", ready.id()), json!({"ttlSeconds": 1800})).await.expect(200);
    assert_eq!(agent.claim_one().await.job.session().to_string(), ready.id(), "a session that lives goes on living");
    dana.post(&format!("/v1/sessions/{}/revoke", ready.id()), json!({})).await.expect(200);
    assert_eq!(agent.claim_one().await.job.session().to_string(), ready.id(), "and ends when it should");
    let busy = &world.admin.get("/v1/agents").await.expect(200).body["agents"][0];
    assert!(busy["jobs"].as_i64() >= Some(1), "{busy}");
    let back = world.admin.post("/v1/agents/agent-1/drain", json!({"undo": true})).await.expect(200).body;
    assert!(back.get("drainingAt").is_none(), "{back}");
    assert_eq!(agent.claim_one().await.job.session().to_string(), queued.id());
    assert_eq!(world.audit("&action=agent.draining").await.len(), 2);
    assert_eq!(world.audit("&action=agent.resumed").await.len(), 1);
    world.admin.post("/v1/agents/agent-9/drain", json!({})).await.refused(404, "not_found");
    dana.post("/v1/agents/agent-1/drain", json!({})).await.refused(403, "scope_missing");
}

#[tokio::test]
async fn an_agent_that_is_enrolled_again_is_given_sessions_again() {
    let (world, agent) = World::with_agent().await;
    world.admin.post("/v1/agents/agent-1/drain", json!({})).await.expect(200);
    let ask = json!({"name": "agent-1", "targets": ["pg-local"]});
    world.admin.post("/v1/agents", ask).await.expect(201);
    world.dana().await.create(json!({})).await.expect(201);
    agent.claim_one().await;
}

#[tokio::test]
async fn the_log_is_searched_by_request_time_outcome_object_and_words() {
    let (world, agent) = World::with_agent().await;
    let dana = world.dana().await;
    let created = dana.create(json!({"reason": "Café ticket 7"})).await.expect(201);
    agent.work().await;
    dana.create(json!({"role": "app_write"})).await.refused(403, "role_not_allowed");
    let request = created.headers["x-request-id"].to_str().unwrap();
    let actions = async |filter: &str| -> Vec<String> {
        let events = world.audit(&format!("&{filter}")).await;
        events.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
    };
    let both = ["session.requested", "session.created"];
    assert_eq!(actions(&format!("request={request}")).await, both, "what the agent did for it belongs to it");
    assert_eq!(actions("text=caf%C3%A9+TICKET").await, both[..1]);
    assert_eq!(actions(&format!("object={}&action=session.created", created.id())).await, both[1..]);
    assert_eq!(actions("outcome=denied&actor=dana").await, ["session.denied"]);
    assert_eq!(actions(&format!("session={}&until=2001-01-01T00:00:00Z", created.id())).await, [""; 0]);
    assert_eq!(actions(&format!("session={}&since=2001-01-01T00:00:00%2B01:00", created.id())).await, both);
    let other = format!("session={}&object=pg-local", created.id());
    for wrong in ["outcome=good", "since=today", "request=sess_1", "text=%00", "actor=%0A", &other] {
        world.admin.get(&format!("/v1/audit/events?{wrong}")).await.refused(400, "invalid_query");
    }
}
