//! Who may call what, walked over the same table of routes that the router is made from.

use gk_control_plane::http::access::Access;
use gk_control_plane::http::openapi::operations;
use gk_control_plane::http::router::table;
use serde_json::json;

use crate::support::{Answer, Caller, World};

/// Every route: who may call it, its method, its path.
fn routes() -> Vec<(Access, &'static str, String)> {
    let mut found = Vec::new();
    for group in table() {
        let mut document = group.routes.into_openapi();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in [("GET", &item.get), ("POST", &item.post), ("DELETE", &item.delete)] {
                if operation.is_some() {
                    found.push((group.access, method, path.clone()));
                }
            }
            assert!(operations(item).count() > 0, "{path} has no operation of a known method");
        }
    }
    assert!(found.len() > 25, "{found:?}");
    found
}

/// The path with good values in it: a refusal must not come from them.
fn filled(path: &str) -> String {
    let id = match path {
        _ if path.contains("/jobs/") => "job_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        _ if path.contains("/tokens/") => "tok_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        _ => "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    };
    path.replace("{id}", id).replace("{name}", "app_read")
}

async fn call(caller: &Caller, method: &str, path: &str) -> Answer {
    let request = caller.request(method, &filled(path));
    Answer::of(if method == "POST" { request.json(&json!({})) } else { request }).await
}

#[tokio::test]
async fn every_route_but_the_health_ones_wants_a_token_with_and_without_the_version() {
    let world = World::start().await;
    let anonymous = world.anonymous();
    for (access, method, path) in routes() {
        for path in [path.clone(), format!("/v1{path}")] {
            let answer = call(&anonymous, method, &path).await;
            if access == Access::Anyone {
                assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
            } else if answer.status != 429 {
                let answer = answer.refused(401, "token_invalid");
                assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"gatekeeper\"", "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn every_route_refuses_those_it_is_not_for() {
    let (world, agent) = World::with_agent().await;
    let requester = world.dana().await;
    let auditor = world.person("ann", &["auditor"], &[]).await;
    let mut refused = 0;
    for (access, method, path) in routes() {
        let wrong = |who: &'static str, code: &'static str| (who, code);
        let refusals = match access {
            Access::Anyone => vec![],
            Access::User => vec![wrong("agent", "wrong_principal_kind")],
            Access::Requester => vec![wrong("agent", "wrong_principal_kind"), wrong("auditor", "scope_missing")],
            Access::Auditor => vec![wrong("agent", "wrong_principal_kind"), wrong("requester", "scope_missing")],
            Access::Admin => vec![
                wrong("agent", "wrong_principal_kind"),
                wrong("requester", "scope_missing"),
                wrong("auditor", "scope_missing"),
            ],
            Access::Agent => vec![wrong("requester", "wrong_principal_kind"), wrong("admin", "wrong_principal_kind")],
            // Only a one-time token is looked up there: every other is none.
            Access::Enrolment => vec![],
        };
        for (who, code) in refusals {
            let caller = match who {
                "agent" => &agent.0,
                "requester" => &requester,
                "auditor" => &auditor,
                _ => &world.admin,
            };
            call(caller, method, &format!("/v1{path}")).await.refused(403, code);
            refused += 1;
        }
    }
    let logged = world.audit("&action=access.refused").await;
    assert_eq!(logged.len(), refused, "every refusal of somebody known is in the log");
}

#[tokio::test]
async fn every_token_that_does_not_work_gets_the_same_answer() {
    let world = World::start().await;
    let good = world.dana().await.token().to_owned();
    let revoked = world.person("gone", &["requester"], &[]).await;
    let tokens = world.admin.get("/v1/tokens").await.expect(200).body;
    let id =
        tokens["tokens"].as_array().unwrap().iter().find(|token| token["actor"] == "gone").unwrap()["tokenId"].clone();
    let revoke = format!("/v1/tokens/{}/revoke", id.as_str().unwrap());
    for _ in 0..2 {
        world.admin.post(&revoke, json!({})).await.expect(200);
    }
    let other = format!("{}{}", &good[..good.len() - 4], if good.ends_with("AAAA") { "BBBB" } else { "AAAA" });
    let cases = [
        vec![],
        vec!["Bearer ".to_owned()],
        vec!["Bearer".to_owned()],
        vec![format!("Basic {good}")],
        vec![format!("Bearer {good}"), format!("Bearer {good}")],
        vec![format!("Bearer {other}")],
        vec![format!("Bearer  {good}")],
        vec![format!("Bearer {}", revoked.token())],
        vec![format!("Bearer gk_tok_{}", "A".repeat(8000))],
    ];
    let mut answers = Vec::new();
    for case in &cases {
        let request = case
            .iter()
            .fold(world.anonymous().request("GET", "/v1/me"), |request, value| request.header("Authorization", value));
        let answer = Answer::of(request).await.refused(401, "token_invalid");
        assert!(answer.headers.contains_key("www-authenticate"));
        answers.push(answer.without_request_id());
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    let lower = world.anonymous().request("GET", "/v1/me").header("Authorization", format!("bearer {good}"));
    assert_eq!(Answer::of(lower).await.expect(200).body["actor"], "dana");
}

#[tokio::test]
async fn a_token_past_its_end_and_a_disabled_actor_are_refused_at_the_next_request() {
    let (world, agent) = World::with_agent().await;
    let (dana, eve) = (world.dana().await, world.person("eve", &["requester"], &["dev"]).await);
    let id = eve.create(json!({})).await.expect(201).id();
    agent.work().await;
    let ledger = world.pg.superuser("ledger").await;
    let past = "UPDATE tokens k SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h'
        FROM actors a WHERE a.id = k.actor_id AND a.name = 'dana'";
    ledger.execute(past, &[]).await.unwrap();
    let expired = dana.get("/v1/me").await.refused(401, "token_expired");
    let detail = expired.body["detail"].as_str().unwrap();
    let times: Vec<jiff::Timestamp> = detail.split([' ', ';']).filter_map(|word| word.parse().ok()).collect();
    let [end, now] = times[..] else { panic!("not two times in {detail}") };
    assert!((3600..3660).contains(&now.duration_since(end).as_secs()), "{detail}");
    for changed in [true, false] {
        let answer = world.admin.post("/v1/actors/eve/disable", json!({})).await.expect(200);
        assert_eq!(answer.body["changed"], changed);
    }
    eve.get("/v1/me").await.refused(401, "token_invalid");
    let after = world.admin.get(&format!("/v1/sessions/{id}")).await.expect(200).body;
    assert_eq!(after["status"], "revoking", "the sessions of a disabled actor end");
    world.admin.post("/v1/actors/nobody/disable", json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_agent_and_a_person_of_one_name_are_two() {
    let world = World::start().await;
    let agent = world.agent("dana").await;
    let dana = world.dana().await;
    agent.0.get("/v1/me").await.refused(403, "wrong_principal_kind");
    assert_eq!(dana.get("/v1/me").await.expect(200).body["scopes"], json!(["requester"]));
}
