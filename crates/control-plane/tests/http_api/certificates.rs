//! Agents that show a certificate: how they get one, and what it is worth to whom.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use gk_control_plane::config::{AgentAuthority, PlaneConfig};
use gk_edge::pki::{Authority, Claims, Made, new_authority, new_request};
use gk_shared::wire::agent::CertifiedAgent;
use gk_testkit::eventually;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Agent, Answer, CERTIFICATE, Caller, KEY, POLICY, World};

const SOON: Duration = Duration::from_secs(20);

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A control plane that certifies agents.
struct Plane {
    world: World,
    authority: Made,
    _dir: tempfile::TempDir,
}

impl Plane {
    /// One whose certificates hold for so long.
    async fn start(life: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = new_authority(Timestamp::now()).unwrap();
        for (name, text) in [
            ("cert.pem", CERTIFICATE),
            ("key.pem", KEY),
            ("policy.toml", POLICY),
            ("agent-ca.pem", &authority.public),
            ("agent-ca.key", &authority.key),
        ] {
            write(dir.path(), name, text);
        }
        let text = "policy_file = '@/policy.toml'\n[ledger]\nhost = 'h'\nuser = 'u'\ndatabase = 'd'\n[tls]\n\
                    cert_file = '@/cert.pem'\nkey_file = '@/key.pem'\n\
                    agent_ca_file = '@/agent-ca.pem'\nagent_ca_key_file = '@/agent-ca.key'\n";
        let read = PlaneConfig::parse(&text.replace('@', dir.path().to_str().unwrap()), &|_| None).unwrap();
        let agents = read.agents.map(|agents| AgentAuthority { life, ..agents });
        let world = World::set_up(|config| PlaneConfig { tls: read.tls, agents, ..config }).await;
        Self { world, authority, _dir: dir }
    }

    /// A one-time token for this agent of these targets.
    async fn token(&self, name: &str, targets: &[&str]) -> String {
        let ask = json!({"name": name, "targets": targets, "identity": "certificate"});
        let made = self.world.admin.post("/v1/agents", ask).await.expect(201);
        made.body["token"].as_str().unwrap().to_owned()
    }

    async fn enroll(&self, token: &str, request: &str) -> Answer {
        self.world.caller(&json!(token)).post("/v1/agent/enroll", json!({"request": request})).await
    }

    /// An agent that has fetched its certificate.
    async fn agent(&self, name: &str, targets: &[&str]) -> Agent {
        let made = new_request().unwrap();
        let answer = self.enroll(&self.token(name, targets).await, &made.public).await.expect(201);
        let certified: CertifiedAgent = serde_json::from_value(answer.body).unwrap();
        assert_eq!(certified.name.as_str(), name);
        self.shows(&made.key, &certified.certificate)
    }

    /// Somebody who shows this certificate, and no token.
    fn shows(&self, key: &str, certificate: &str) -> Agent {
        Agent(self.client(key, certificate, None))
    }

    fn client(&self, key: &str, certificate: &str, token: Option<&str>) -> Caller {
        let roots = reqwest::Certificate::from_pem_bundle(CERTIFICATE.as_bytes()).unwrap();
        let identity = reqwest::Identity::from_pem(format!("{key}{certificate}").as_bytes()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only(roots).identity(identity).build().unwrap();
        Caller::with(http, &self.world.url, token)
    }
}

async fn me(agent: &Agent) -> Answer {
    agent.0.get("/v1/agent/me").await
}

#[tokio::test]
async fn a_one_time_token_becomes_a_certificate_once_and_no_bearer_token_is_left() {
    let plane = Plane::start(AgentAuthority::DEFAULT_LIFE).await;
    let before = plane.world.agent("db-1").await;
    let token = plane.token("db-1", &["pg-local"]).await;
    let made = new_request().unwrap();
    plane.enroll(&token, "no request").await.refused(400, "invalid_request");
    let certified = plane.enroll(&token, &made.public).await.expect(201);
    plane.enroll(&token, &made.public).await.refused(401, "token_invalid");
    me(&before).await.refused(401, "token_invalid");
    let agent = plane.shows(&made.key, certified.body["certificate"].as_str().unwrap());
    agent.heartbeat().await;
    assert_eq!(me(&agent).await.expect(200).body["name"], "db-1");
    // The one-time token opens nothing else, and an ordinary one does not enrol.
    plane
        .world
        .caller(&json!(plane.token("db-1", &["pg-local"]).await))
        .get("/v1/agent/me")
        .await
        .refused(401, "token_invalid");
    plane.enroll(plane.world.admin.token(), &made.public).await.refused(401, "token_invalid");
    let again = json!({"name": "db-1", "targets": ["pg-local"]});
    plane.world.admin.post("/v1/agents", again).await.refused(409, "conflict");
    let logged = plane.world.audit("&action=agent.certified").await;
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0]["actor"], "agent:db-1");
}

#[tokio::test]
async fn of_many_who_try_the_same_one_time_token_one_becomes_the_agent() {
    let plane = Plane::start(AgentAuthority::DEFAULT_LIFE).await;
    let token = plane.token("db-1", &["pg-local"]).await;
    let requests: Vec<String> = (0..8).map(|_| new_request().unwrap().public).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| plane.enroll(&token, request))).await;
    let given = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(given, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.status == 401));
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_past_its_end_gets_no_answer() {
    let plane = Plane::start(AgentAuthority::DEFAULT_LIFE).await;
    let signed = |authority: &Made, now: Timestamp| {
        let made = new_request().unwrap();
        let authority = Authority::new(authority.public.as_bytes(), authority.key.as_bytes()).unwrap();
        let life = Duration::from_secs(3600);
        let claims = Claims { name: "db-1", uri: "gatekeeper:agent:x", serial: &[1; 16], now, life };
        let issued = authority.certify(&made.public, &claims).unwrap();
        plane.shows(&made.key, &issued.pem)
    };
    let now = Timestamp::now();
    let stranger = new_authority(now).unwrap();
    let yesterday = now.checked_sub(Duration::from_secs(24 * 3600)).unwrap();
    for refused in [signed(&stranger, now), signed(&plane.authority, yesterday)] {
        let error = refused.0.request("GET", "/v1/agent/me").send().await.expect_err("the handshake fails");
        // How the other side's refusal shows depends on what was being written when it came.
        let text = format!("{error:?}").to_lowercase();
        assert!(["alert", "reset", "closed", "pipe"].iter().any(|word| text.contains(word)), "{text}");
    }
    // Signed by the right authority, and never given out: nobody knows it.
    me(&signed(&plane.authority, now)).await.refused(401, "token_invalid");
}

#[tokio::test]
async fn a_certificate_is_worth_what_its_agent_may_and_nothing_once_it_is_revoked() {
    let plane = Plane::start(AgentAuthority::DEFAULT_LIFE).await;
    let (agent, other) = (plane.agent("db-1", &["pg-local"]).await, plane.agent("db-2", &["elsewhere"]).await);
    agent.heartbeat().await;
    let refused = other.heartbeat().await;
    assert_eq!(refused.body["refusedTargets"], json!(["pg-local"]), "the target is another's");
    let seen = json!({"target": "pg-local", "targetTime": Timestamp::now().to_string(), "complete": true, "roles": []});
    other.0.post("/v1/agent/observe", seen).await.refused(404, "not_found");
    // People's routes ask for a token, whatever certificate is shown.
    other.0.get("/v1/sessions").await.refused(401, "token_invalid");
    let done = plane.world.admin.post("/v1/agents/db-1/revoke", json!({})).await.expect(200);
    assert_eq!(done.body["revoked"], 1);
    me(&agent).await.refused(401, "token_invalid");
    me(&other).await.expect(200);
    plane.world.admin.post("/v1/agents/db-1/revoke", json!({})).await.expect(200);
    plane.world.admin.post("/v1/agents/none/revoke", json!({})).await.refused(404, "not_found");
    assert_eq!(plane.world.audit("&action=agent.revoked").await.len(), 2);
    // Back to a token, now that nothing else speaks for it.
    plane.world.agent("db-1").await;
}

#[tokio::test]
async fn a_certificate_fetches_the_next_and_a_token_does_not() {
    let plane = Plane::start(AgentAuthority::DEFAULT_LIFE).await;
    let agent = plane.agent("db-1", &["pg-local"]).await;
    let next = new_request().unwrap();
    let certified = agent.0.post("/v1/agent/certificate", json!({"request": next.public})).await.expect(201);
    let renewed = plane.shows(&next.key, certified.body["certificate"].as_str().unwrap());
    me(&renewed).await.expect(200);
    me(&agent).await.expect(200);
    let bearer = plane.world.agent("db-3").await;
    let ask: Value = json!({"request": new_request().unwrap().public});
    bearer.0.post("/v1/agent/certificate", ask).await.refused(403, "wrong_principal_kind");
}

#[tokio::test]
async fn a_connection_that_outlives_its_certificate_is_refused_by_the_ledgers_clock() {
    let plane = Plane::start(Duration::from_secs(3)).await;
    let agent = plane.agent("db-1", &["pg-local"]).await;
    me(&agent).await.expect(200);
    // One connection, kept busy: no new handshake looks at the time.
    eventually(SOON, "the certificate has ended for the open connection, too", async || {
        match agent.0.request("GET", "/v1/agent/me").send().await {
            Ok(answer) if answer.status() == 401 => Ok(()),
            Ok(answer) => Err(answer.status().to_string()),
            // It was opened anew, and the handshake was refused.
            Err(_) => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn without_an_authority_no_certificate_is_promised() {
    let world = World::start().await;
    let ask = json!({"name": "db-1", "targets": ["pg-local"], "identity": "certificate"});
    world.admin.post("/v1/agents", ask).await.refused(400, "invalid_request");
}
