//! Late workers and repeated requests: what comes too late, or twice, changes nothing.

use gk_e2e::{AgentOptions, Api, Proxy, SOON, Stack, TARGET, User, Version, eventually, is_refused, on_both_lines};
use gk_shared::ids::SessionId;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

on_both_lines!(a_revoke_that_overtakes_its_mint_is_not_undone_by_it, a_stale_agent_that_wakes_up_changes_nothing,);

/// Past the lease, and some.
const PAST_LEASE: Duration = Duration::from_secs(60);

fn wanted() -> Value {
    json!({ "target": TARGET, "role": "app_read", "ttlSeconds": 600, "reason": "test" })
}

fn id_of(body: &Value) -> SessionId {
    body["sessionId"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no session in {body}"))
}

/// Asks until it is answered. A busy control plane may say "later", and then a client repeats with the same key.
async fn answered(api: &Api, key: &str, body: &Value) -> Value {
    loop {
        let answer = api.create(key, "?wait=20s", body).await.expect("it answers");
        if answer.body["retryable"] != true {
            return answer.is(201);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A stack whose one agent reaches the target through a wire that can be held, warm from a first session.
async fn on_a_wire(version: Version) -> (Stack, Proxy) {
    let mut stack = Stack::with(version).without_agent().await;
    let wire = Proxy::to(stack.target.port()).await;
    stack.add_agent("agent-a", AgentOptions { through_port: Some(wire.port()), ..AgentOptions::default() }).await;
    let (first, _) = stack.session("app_read", "10m").await;
    stack.gk(&["session", "revoke", &first.to_string()]).await.ok();
    stack.session("app_write", "10m").await;
    (stack, wire)
}

/// Waits until the late mint has arrived and was refused: a server logs statements that fail, and no other one does here.
async fn refused_late(stack: &Stack) {
    let refusal = async || stack.target.log_text().contains("gk.mint(").then_some(()).ok_or("no word of it");
    eventually(SOON, "the late mint arrives and is refused", refusal).await;
}

/// Asks for a session whose mint is then on the wire and does not arrive.
async fn held_mint(stack: &Stack, api: &Api, wire: &Proxy) -> SessionId {
    wire.hold();
    assert!(!stack.target.log_text().contains("gk.mint("), "no mint has failed so far");
    let asked = api.create("held-mint-1", "", &wanted()).await.expect("it answers").is(201);
    let id = id_of(&asked);
    eventually(SOON, "the mint is on its way", async || wire.holds(&id.to_string())).await;
    id
}

async fn a_revoke_that_overtakes_its_mint_is_not_undone_by_it(version: Version) {
    let (mut stack, wire) = on_a_wire(version).await;
    let api = stack.plane.as_person(&stack.dana);
    let id = held_mint(&stack, &api, &wire).await;
    stack.agent().kill9();
    stack.add_agent("agent-b", AgentOptions::default()).await;
    api.post(&format!("/v1/sessions/{id}/revoke"), &json!({})).await.expect("it answers").is(200);
    let books = stack.books().await;
    eventually(SOON, "the session is over", async || books.has_status(id, "revoked").await).await;

    wire.release();
    refused_late(&stack).await;
    let catalog = stack.catalog().await;
    assert_eq!(catalog.role(id).await, None, "the mint was let through");
    let tombstone = format!("SELECT state = 'closed' AND role_oid IS NULL FROM gk.fence WHERE session = '{id}'");
    assert!(catalog.truth(&tombstone).await);
    assert_eq!(books.session(id).await.status, "revoked");
}

async fn a_stale_agent_that_wakes_up_changes_nothing(version: Version) {
    let (mut stack, wire) = on_a_wire(version).await;
    let api = stack.plane.as_person(&stack.dana);
    let id = held_mint(&stack, &api, &wire).await;
    stack.agent().pause();
    stack.add_agent("agent-b", AgentOptions::default()).await;
    let ready = eventually(PAST_LEASE, "another agent takes the job over", async || {
        let seen = api.get(&format!("/v1/sessions/{id}")).await.map_err(|error| error.to_string())?.body;
        if seen["status"] == "ready" { Ok(seen) } else { Err(seen.to_string()) }
    });
    let dsn = ready.await["dsn"].as_str().expect("the caller's own token opens it").to_owned();
    let catalog = stack.catalog().await;
    let before = catalog.role(id).await.expect("it was made");

    let said = stack.agents[0].log_text().len();
    wire.release();
    stack.agent().resume();
    refused_late(&stack).await;
    eventually(SOON, "the stale agent has done with the job", async || {
        let log = stack.agents[0].log_text();
        // Whichever it hears of first: what the target says, or that its lease is over.
        let ways = ["job done", "the job is dropped"];
        let done = |line: &str| line.contains(&id.to_string()) && ways.iter().any(|way| line.contains(way));
        if log[said..].lines().any(done) { Ok(()) } else { Err("nothing in its log") }
    })
    .await;
    stack.agent_is_online("agent-a").await;
    let user = User::login(&dsn).await.expect("the delivered password still works");
    assert_eq!(catalog.role(id).await.map(|role| (role.oid, role.valid_until)), Some((before.oid, before.valid_until)));
    drop(user);
    api.post(&format!("/v1/sessions/{id}/revoke?wait=10s"), &json!({})).await.expect("it answers").is(200);
    eventually(SOON, "the login is refused", async || is_refused(&dsn).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agents_serve_one_target_and_each_alone_is_enough() {
    let mut stack = Stack::start(Version::From16).await;
    stack.add_agent("agent-b", AgentOptions::default()).await;
    let api = stack.plane.as_person(&stack.dana);
    let mut asked = JoinSet::new();
    for n in 0..16 {
        let api = api.clone();
        asked.spawn(async move { answered(&api, &format!("many-{n:04}"), &wanted()).await });
    }
    let made: Vec<Value> = asked.join_all().await;
    let catalog = stack.catalog().await;
    assert_eq!(catalog.roles().await.len(), 16, "one role each");
    for one in &made {
        let dsn = one["dsn"].as_str().unwrap_or_else(|| panic!("not ready: {}", one["status"]));
        User::login(dsn).await.expect("each delivered password works");
    }
    for killed in [0, 1] {
        stack.agents[killed].kill9();
        let (id, dsn) = stack.session("app_read", "10m").await;
        User::login(&dsn).await.expect("the other agent made it");
        stack.gk(&["session", "revoke", &id.to_string()]).await.ok();
        catalog.gone(id).await.expect("the other agent ended it");
        stack.agents[killed].start();
        stack.agent_is_online(["agent-a", "agent-b"][killed]).await;
    }
    stack.gk(&["session", "revoke", "--mine"]).await.ok();
    catalog.gone_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_is_one_session_and_another_body_is_refused() {
    let stack = Stack::start(Version::From16).await;
    let api = stack.plane.as_person(&stack.dana);
    let mut asked = JoinSet::new();
    for _ in 0..50 {
        let api = api.clone();
        asked.spawn(async move { answered(&api, "the-same-key", &wanted()).await });
    }
    let made: Vec<Value> = asked.join_all().await;
    let id = id_of(&made[0]);
    assert!(made.iter().all(|one| id_of(one) == id), "fifty at once made more than one session");
    assert_eq!(id_of(&answered(&api, "the-same-key", &wanted()).await), id);

    let longer = json!({ "target": TARGET, "role": "app_read", "ttlSeconds": 601, "reason": "test" });
    let refused = api.create("the-same-key", "", &longer).await.expect("it answers");
    assert_eq!((refused.status, refused.text("code")), (409, "idempotency_mismatch"));
    assert_eq!(stack.books().await.sessions().await.len(), 1);
    let catalog = stack.catalog().await;
    assert_eq!(catalog.roles().await.len(), 1);
    let other = stack.plane.person(&stack.room, "erin", &["requester"]).await;
    let hers = answered(&stack.plane.as_person(&other), "the-same-key", &longer).await;
    assert_ne!(id_of(&hers), id, "a key is its sender's own");
}
