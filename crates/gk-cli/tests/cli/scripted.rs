//! A control plane that is a script: real wire types, real seals, and behaviour as a test wants it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, Uri};
use gk_shared::ids::SessionId;
use gk_shared::problem::{ErrorCode, Problem};
use gk_shared::seal::{Purpose, RecipientKey, SealedCredential};
use gk_shared::secret::SecretDsn;
use gk_shared::wire::session::CreateSession;
use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        self.method.as_str() == method && self.path == path
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) after: Duration,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string(), after: Duration::ZERO }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned(), after: Duration::ZERO }
    }

    pub(crate) fn problem(code: ErrorCode, detail: &str) -> Self {
        let problem = Problem::new(code, detail);
        let body = serde_json::to_value(&problem).expect("a problem");
        Self::json(problem.status, &body).header("content-type", "application/problem+json")
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }
}

type Script = dyn Fn(&Seen) -> Option<Reply> + Send + Sync;

/// A running script. It ends with the test.
pub(crate) struct Scripted {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Scripted {
    /// Answers by `script`, and where that says nothing as a control plane without trouble does.
    pub(crate) fn start(script: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let log = Arc::clone(&seen);
        let router = axum::Router::new().fallback(move |method, uri, headers, body| {
            answer(Arc::clone(&script), Arc::clone(&log), method, (uri, headers, body))
        });
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, seen, _runtime: runtime }
    }

    /// A control plane without trouble.
    pub(crate) fn good() -> Self {
        Self::start(|_| None)
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panicked").clone()
    }

    /// How many of them there were.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.is(method, path)).count()
    }
}

async fn answer(
    script: Arc<Script>,
    log: Arc<Mutex<Vec<Seen>>>,
    method: Method,
    (uri, headers, body): (Uri, HeaderMap, Bytes),
) -> Response<Body> {
    let seen = Seen {
        method,
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let reply = script(&seen).unwrap_or_else(|| usual(&seen));
    log.lock().expect("nobody panicked").push(seen);
    tokio::time::sleep(reply.after).await;
    let mut response = Response::builder().status(reply.status).header("x-request-id", "req_from_server");
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(reply.body)).expect("a response")
}

/// The session that the script makes.
pub(crate) fn session() -> SessionId {
    SessionId::from_parts(1_700_000_000_000, [1; 10])
}

/// A password with all that needs care in a form or a shell.
pub(crate) const PASSWORD: &str = "s3cret'pw";

/// The login of that session.
pub(crate) fn dsn() -> String {
    format!("postgresql://{}:s3cret%27pw@127.0.0.1:5432/app?application_name=gk%3Asess", session().role_name())
}

/// A session in this state.
pub(crate) fn view(status: &str) -> Value {
    json!({
        "sessionId": session(), "status": status, "target": "pg-local", "role": "app_read", "packVersion": "pg-1.0.0",
        "requester": "dana", "reason": "debug", "createdAt": "2026-11-22T14:32:00Z", "ttlSeconds": 900,
        "databaseUser": session().role_name(), "expiresAt": "2026-11-22T14:47:00Z", "expiresInSeconds": 900,
        "correlationId": "req_from_server",
    })
}

/// A session that is ready, with its credential as the request wanted it.
pub(crate) fn ready(request: &Value) -> Value {
    let mut view = view("ready");
    let asked: CreateSession = serde_json::from_value(request.clone()).expect("a request of ours");
    match asked.recipient_public_key {
        Some(key) => {
            let key: RecipientKey = key.parse().expect("a good key");
            let dsn = SecretDsn::from(dsn().as_str());
            let purpose = Purpose { session: session(), target: &asked.target, generation: 1 };
            let sealed = SealedCredential::seal(&dsn, &key, &purpose, &mut rand::rng());
            view["sealedCredential"] = json!(sealed.expect("seals").to_string());
        }
        None => view["dsn"] = json!(dsn()),
    }
    view
}

fn usual(seen: &Seen) -> Reply {
    let one = format!("/v1/sessions/{}", session());
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/v1/sessions") if seen.query.contains("dryRun=true") => {
            Reply::json(200, &json!({ "allowed": true, "rule": "dev", "maxTtlSeconds": 14400 }))
        }
        ("POST", "/v1/sessions") => Reply::json(201, &ready(&seen.body)),
        ("GET", "/v1/sessions") => Reply::json(200, &json!({ "sessions": [view("ready")] })),
        ("GET", path) if path == one => Reply::json(200, &view("ready")),
        ("POST", path) if path == format!("{one}/extend") => {
            let mut longer = view("ready");
            (longer["expiresAt"], longer["expiresInSeconds"]) = (json!("2026-11-22T15:02:00Z"), json!(1800));
            Reply::json(200, &longer)
        }
        ("POST", path) if path == format!("{one}/revoke") => {
            let mut over = view("revoked");
            over["endedAt"] = json!("2026-11-22T14:40:00Z");
            Reply::json(200, &over)
        }
        ("GET", "/v1/me") => Reply::json(200, &me()),
        ("GET", "/v1/targets") => Reply::json(200, &json!({ "targets": [target()] })),
        ("GET", "/v1/targets/pg-local") => Reply::json(200, &target()),
        ("GET", "/v1/packs") => Reply::json(200, &json!({ "packs": [pack()] })),
        ("GET", "/v1/packs/app_read") => Reply::json(200, &pack()),
        ("GET", "/v1/status") => Reply::json(200, &status()),
        _ => Reply::problem(ErrorCode::NotFound, "there is no such thing"),
    }
}

/// Who the caller is.
pub(crate) fn me() -> Value {
    json!({
        "actorId": "act_01ARZ3NDEKTSV4RRFFQ69G5FAV", "actor": "dana", "groups": ["dev"],
        "tokenId": "tok_01ARZ3NDEKTSV4RRFFQ69G5FAV", "scopes": ["requester"], "expiresAt": "2026-11-23T02:00:00Z",
        "ledgerTime": "2026-11-22T14:00:00Z", "version": env!("CARGO_PKG_VERSION"),
    })
}

pub(crate) fn target() -> Value {
    json!({
        "name": "pg-local", "kind": "postgres", "host": "127.0.0.1", "port": 5432, "database": "app", "reachable": true,
        "serverVersion": "16.4", "helpersVersion": "pg-1.0.0", "seenAt": "2026-11-22T14:00:00Z", "clockSkewMs": 3,
        "roles": [{ "role": "app_read", "maxTtlSeconds": 14400, "rule": "dev" }], "liveSessions": 1,
    })
}

fn pack() -> Value {
    json!({ "name": "app_read", "version": "pg-1.0.0", "digest": "ab".repeat(32), "targets": ["pg-local"] })
}

fn status() -> Value {
    json!({
        "version": "0.1.0", "ledgerTime": "2026-11-22T14:00:00Z", "targetsReachable": 1, "targetsTotal": 1,
        "agentsOnline": 1, "agentsTotal": 1, "sessionsReady": 2, "sessionsProvisioning": 0, "sessionsRevoking": 0,
        "sessionsQuarantined": 0, "jobsQueued": 0, "auditSize": 12, "auditUnsealed": 0,
    })
}
