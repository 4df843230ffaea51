//! A world for a test: a ledger, a control plane on a port of its own, people with tokens, an agent.

use std::time::Duration;

use gk_control_plane::config::{LedgerConfig, Limits, LogConfig, PlaneConfig};
use gk_control_plane::logging;
use gk_control_plane::notary::AuditConfig;
use gk_control_plane::policy::Policy;
use gk_shared::seal::{Purpose, RecipientKey, SealedCredential};
use gk_shared::secret::SecretDsn;
use gk_shared::wire::job::{ClaimedJobs, Job, LeasedJob};
use gk_testkit::{TestPg, pg_versions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const POLICY: &str = r#"
    [[rule]]
    name = "dev-read"
    who = ["group:dev"]
    targets = ["pg-local"]
    roles = ["app_read"]
    max_ttl = "4h"
    reason = "required"

    [[rule]]
    name = "svc-read"
    who = ["user:svc"]
    targets = ["pg-local"]
    roles = ["app_read", "unregistered"]
    max_ttl = "1h"
    reason = "optional"
"#;

/// For `localhost` and `127.0.0.1`, its own authority.
pub(crate) const CERTIFICATE: &str = include_str!("../../../agent/tests/agent/tls/certificate.pem");
pub(crate) const KEY: &str = include_str!("../../../agent/tests/agent/tls/key.pem");

/// What the fake agent mints.
pub(crate) const DSN: &str = "postgresql://gk_x:s3cret@127.0.0.1:5432/app";

pub(crate) struct World {
    pub(crate) pg: TestPg,
    pub(crate) url: String,
    pub(crate) admin: Caller,
    stop: CancellationToken,
    server: JoinHandle<Result<(), gk_control_plane::PlaneError>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Limits { requests_per_second: 10_000, burst: 10_000, ..Limits::default() }).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::audited(limits, AuditConfig::default()).await
    }

    /// A world whose audit log is signed like this.
    pub(crate) async fn audited(limits: Limits, audit: AuditConfig) -> Self {
        Self::set_up(|config| PlaneConfig { limits, audit, ..config }).await
    }

    /// A world with settings of its own.
    pub(crate) async fn set_up(settings: impl FnOnce(PlaneConfig) -> PlaneConfig) -> Self {
        // Shown with a failure; started once a process.
        let _ = logging::start(&LogConfig { filter: "warn".to_owned(), ..LogConfig::default() });
        let pg = TestPg::start(pg_versions()[0]).await;
        pg.create_database("ledger").await;
        let dsn = pg.superuser_dsn("ledger");
        Self::on(pg, &dsn, settings).await
    }

    /// A world on this ledger.
    pub(crate) async fn on(pg: TestPg, dsn: &str, settings: impl FnOnce(PlaneConfig) -> PlaneConfig) -> Self {
        let ledger = LedgerConfig::from_url(&SecretDsn::from(dsn)).unwrap();
        gk_control_plane::migrate(&ledger).await.unwrap();
        let policy = Policy::parse(POLICY, PlaneConfig::default_max_ttl()).unwrap();
        let config = settings(PlaneConfig::new(ledger.clone(), policy));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let server = tokio::spawn(gk_control_plane::serve(config, listener, stop.clone()));
        let token =
            gk_control_plane::admin_token(&ledger, "root".parse().unwrap(), Duration::from_secs(3600)).await.unwrap();
        let admin = Caller::new(&url, Some(token.token.expose()));
        Self { pg, url, admin, stop, server }
    }

    /// A world with an agent beside `pg-local`, which has the pack `app_read`.
    pub(crate) async fn with_agent() -> (Self, Agent) {
        let world = Self::start().await;
        let agent = world.agent("agent-1").await;
        (world, agent)
    }

    pub(crate) async fn agent(&self, name: &str) -> Agent {
        let enrolled = self.admin.post("/v1/agents", json!({"name": name, "targets": ["pg-local"]})).await.expect(201);
        let agent = Agent(self.caller(&enrolled.body["token"]));
        agent.heartbeat().await;
        agent
    }

    /// Somebody with these scopes and groups.
    pub(crate) async fn person(&self, name: &str, scopes: &[&str], groups: &[&str]) -> Caller {
        let ask = json!({"actor": name, "scopes": scopes, "groups": groups});
        self.caller(&self.admin.post("/v1/tokens", ask).await.expect(201).body["token"])
    }

    /// Dana, who may ask for sessions and is in the group that policy lets in.
    pub(crate) async fn dana(&self) -> Caller {
        self.person("dana", &["requester"], &["dev"]).await
    }

    pub(crate) fn caller(&self, token: &Value) -> Caller {
        Caller::new(&self.url, Some(token.as_str().expect("a token is text")))
    }

    pub(crate) fn anonymous(&self) -> Caller {
        Caller::new(&self.url, None)
    }

    pub(crate) fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// The events in the audit log, in order: all that were committed before this call.
    pub(crate) async fn audit(&self, filter: &str) -> Vec<Value> {
        let page = self.admin.get(&format!("/v1/audit/events?limit=1000{filter}")).await.expect(200).body;
        let parse = |record: &Value| serde_json::from_str(record["event"].as_str().unwrap()).unwrap();
        page["events"].as_array().unwrap().iter().map(parse).collect()
    }

    /// Stops the control plane as a signal would, and waits until it has.
    pub(crate) async fn stop(self) -> TestPg {
        self.stop.cancel();
        self.server.await.unwrap().unwrap();
        self.pg
    }
}

/// Somebody with an HTTP client and perhaps a token.
#[derive(Clone)]
pub(crate) struct Caller {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Caller {
    fn new(url: &str, token: Option<&str>) -> Self {
        // Fails only when it was installed before, by another test of this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = reqwest::Certificate::from_pem_bundle(CERTIFICATE.as_bytes()).unwrap();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).tls_certs_merge(roots).build().unwrap();
        Self { http, url: url.to_owned(), token: token.map(ToOwned::to_owned) }
    }

    /// Somebody with this client, and perhaps a token.
    pub(crate) fn with(http: reqwest::Client, url: &str, token: Option<&str>) -> Self {
        Self { http, url: url.to_owned(), token: token.map(ToOwned::to_owned) }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.to_uppercase().parse().unwrap();
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request("POST", path).json(&body)).await
    }

    /// Asks for a session on `pg-local`, with `more` in the body.
    pub(crate) async fn create(&self, more: Value) -> Answer {
        self.post("/v1/sessions", session(more)).await
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }
}

/// A good request for a session, with `more` over it.
pub(crate) fn session(more: Value) -> Value {
    let mut body = json!({"target": "pg-local", "role": "app_read", "ttlSeconds": 900, "reason": "debug"});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, text, body }
    }

    /// Sends what `make` makes, again for as long as the answer is that there is no room right now: what `gk` does, too.
    /// On a busy machine a flood is partly turned away; what may not happen is that it is half done.
    pub(crate) async fn insist(make: impl Fn() -> reqwest::RequestBuilder) -> Self {
        let began = std::time::Instant::now();
        loop {
            let answer = Self::of(make()).await;
            if !matches!(answer.status, 429 | 503 | 504) || began.elapsed() > Duration::from_secs(100) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Asserts that it is a problem of this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["requestId"].as_str(), self.headers["x-request-id"].to_str().ok());
        self
    }

    pub(crate) fn id(&self) -> String {
        self.body["sessionId"].as_str().unwrap_or_else(|| panic!("no session in {}", self.text)).to_owned()
    }

    /// The problem without what differs from call to call.
    pub(crate) fn without_request_id(mut self) -> Value {
        self.body.as_object_mut().unwrap().remove("requestId");
        self.body
    }
}

/// An agent that has no target behind it: it answers as one would.
pub(crate) struct Agent(pub(crate) Caller);

impl Agent {
    pub(crate) async fn heartbeat(&self) -> Answer {
        let pack = |name: &str| json!({"name": name, "version": "pg-1.0.0", "digest": "ab".repeat(32)});
        let target = json!({
            "target": "pg-local", "host": "127.0.0.1", "port": 5432, "database": "app", "reachable": true,
            "serverVersion": "15.1", "helpersVersion": "pg-1.0.0", "packs": [pack("app_read"), pack("app_write")],
        });
        self.0.post("/v1/agent/heartbeat", json!({"version": "0.1.0", "targets": [target]})).await.expect(200)
    }

    pub(crate) async fn claim(&self, wait_ms: u32) -> Vec<LeasedJob> {
        let ask = json!({"createSlots": 8, "revokeSlots": 8, "waitMs": wait_ms});
        let answer = self.0.post("/v1/agent/jobs/claim", ask).await.expect(200);
        serde_json::from_str::<ClaimedJobs>(&answer.text).unwrap().jobs
    }

    pub(crate) async fn claim_one(&self) -> LeasedJob {
        let mut jobs = self.claim(10_000).await;
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }

    pub(crate) async fn report(&self, lease: &LeasedJob, outcome: Value) -> Answer {
        let body = json!({"leaseToken": lease.lease_token, "generation": lease.generation, "outcome": outcome});
        self.0.post(&format!("/v1/agent/jobs/{}/complete", lease.job.id()), body).await
    }

    /// Claims one job and does it as it should be done.
    pub(crate) async fn work(&self) -> LeasedJob {
        let lease = self.claim_one().await;
        self.report(&lease, done(&lease)).await.expect(200);
        lease
    }
}

/// The result of doing this job well.
pub(crate) fn done(lease: &LeasedJob) -> Value {
    let in_a_while = |seconds: u32| {
        let now: jiff::Timestamp = std::time::SystemTime::now().try_into().unwrap();
        (now + Duration::from_secs(u64::from(seconds))).to_string()
    };
    match &lease.job {
        Job::CreateSession(job) => {
            let key: RecipientKey = job.recipient_public_key.parse().unwrap();
            let purpose = Purpose { session: job.session_id, target: &job.target, generation: lease.generation };
            let sealed = SealedCredential::seal(&SecretDsn::from(DSN), &key, &purpose, &mut rand::rng());
            json!({
                "kind": "minted", "roleName": job.session_id.role_name(), "expiresAt": in_a_while(job.ttl_seconds),
                "sealedCredential": sealed.unwrap().to_string(),
            })
        }
        Job::RevokeSession(_) => json!({"kind": "ended", "dropped": true}),
        Job::ExtendSession(job) => json!({"kind": "extended", "expiresAt": in_a_while(job.ttl_seconds)}),
    }
}
