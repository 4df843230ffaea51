//! A control plane that follows a script: it hands out the jobs it was given and writes down what it hears.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use gk_shared::ids::{AgentId, SessionId};
use gk_shared::names::TargetName;
use gk_shared::problem::{ErrorCode, Problem};
use gk_shared::secret::BearerToken;
use gk_shared::session::Desired;
use gk_shared::wire::agent::{Heartbeat, HeartbeatAnswer, Intents, Observation, SessionIntent};
use gk_shared::wire::job::{ClaimJobs, CompleteJob, CompletedJob, Job, JobOutcome, RenewJob, RenewedJob};
use gk_testkit::eventually;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What the plane was told and what it will say.
#[derive(Default)]
pub(crate) struct Script {
    create: VecDeque<Value>,
    revoke: VecDeque<Value>,
    /// Results by job.
    pub(crate) results: BTreeMap<String, CompleteJob>,
    /// Results that were reported more than once.
    pub(crate) repeats: usize,
    /// Jobs that somebody else holds by now.
    pub(crate) stolen: BTreeSet<String>,
    /// The plane answers 503 to everything.
    pub(crate) down: bool,
    /// So many answers to results are lost after they were taken.
    pub(crate) lose_answers: usize,
    /// Sessions that are wanted absent, with their generation.
    pub(crate) absent: BTreeMap<SessionId, i64>,
    pub(crate) observations: Vec<Observation>,
    pub(crate) heartbeats: Vec<Heartbeat>,
    pub(crate) claims: Vec<ClaimJobs>,
    pub(crate) renewals: usize,
    pub(crate) request_ids: BTreeSet<String>,
    pub(crate) lease_ms: u64,
    /// Targets that the agent is enrolled for.
    pub(crate) enrolled: Vec<String>,
    /// How far its clock is ahead, in seconds.
    pub(crate) ahead: i64,
}

impl Script {
    pub(crate) fn waiting_creates(&self) -> usize {
        self.create.len()
    }
}

/// The lease of every job.
const LEASE_TOKEN: &str = "00ff";

/// The plane; it ends with this value.
pub(crate) struct Plane {
    pub(crate) address: String,
    shared: Shared,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    work: Arc<Notify>,
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn token() -> BearerToken {
    BearerToken::generate([7; 32])
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let script = Script { lease_ms: 30_000, enrolled: vec!["pg-local".to_owned()], ..Script::default() };
        let shared = Shared { script: Arc::new(Mutex::new(script)), work: Arc::new(Notify::new()) };
        let router = Router::new()
            .route("/v1/agent/jobs/claim", post(claim))
            .route("/v1/agent/jobs/{id}/renew", post(renew))
            .route("/v1/agent/jobs/{id}/complete", post(complete))
            .route("/v1/agent/heartbeat", post(heartbeat))
            .route("/v1/agent/observe", post(observe))
            .route("/v1/agent/me", get(me))
            .layer(axum::middleware::from_fn_with_state(shared.clone(), gate))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, server }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.script.lock().unwrap()
    }

    /// Puts a job into the queue.
    pub(crate) fn queue(&self, job: &Job, generation: i64) {
        let lane_is_create = matches!(job, Job::CreateSession(_));
        self.queue_raw(&json!(job), generation, lane_is_create);
    }

    pub(crate) fn queue_raw(&self, job: &Value, generation: i64, create: bool) {
        let mut script = self.script();
        let leased = json!({
            "job": job, "leaseToken": LEASE_TOKEN, "leaseMs": script.lease_ms, "generation": generation, "attempt": 1
        });
        let queue = if create { &mut script.create } else { &mut script.revoke };
        queue.push_back(leased);
        drop(script);
        self.shared.work.notify_waiters();
    }

    /// What the agent reported of a job.
    pub(crate) async fn outcome(&self, job: &Job) -> JobOutcome {
        self.outcome_of(&job.id().to_string()).await
    }

    pub(crate) async fn outcome_of(&self, job: &str) -> JobOutcome {
        eventually(super::lab::SOON, "the job is reported", async || {
            self.script().results.get(job).map(|result| result.outcome.clone()).ok_or("nothing")
        })
        .await
    }
}

async fn gate(State(shared): State<Shared>, request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let authorised = request.headers().get("authorization").and_then(|value| value.to_str().ok())
        == Some(&format!("Bearer {}", token().expose()));
    if shared.script.lock().unwrap().down {
        return problem(ErrorCode::LedgerUnavailable);
    }
    if !authorised {
        return problem(ErrorCode::TokenInvalid);
    }
    if let Some(id) = request.headers().get("x-request-id").and_then(|value| value.to_str().ok()) {
        shared.script.lock().unwrap().request_ids.insert(id.to_owned());
    }
    next.run(request).await
}

fn problem(code: ErrorCode) -> Response {
    let status = StatusCode::from_u16(code.status()).unwrap();
    (status, Json(Problem::new(code, "as the script says"))).into_response()
}

async fn me(State(shared): State<Shared>) -> Json<Value> {
    let script = shared.script.lock().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the doctor under test compares it with this machine's clock")]
    let now = jiff::Timestamp::now();
    Json(json!({
        "agentId": AgentId::from_parts(1, [1; 10]), "name": "agent-1", "targets": script.enrolled, "version": "0.0.0",
        "ledgerTime": now + jiff::SignedDuration::from_secs(script.ahead),
    }))
}

async fn claim(State(shared): State<Shared>, Json(claim): Json<ClaimJobs>) -> Json<Value> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(claim.wait_ms.into());
    shared.script.lock().unwrap().claims.push(claim.clone());
    loop {
        let woken = shared.work.notified();
        let jobs = take(&mut shared.script.lock().unwrap(), &claim);
        if !jobs.is_empty() || tokio::time::timeout_at(deadline, woken).await.is_err() {
            return Json(json!({ "jobs": jobs }));
        }
    }
}

fn take(script: &mut Script, claim: &ClaimJobs) -> Vec<Value> {
    let excluded = |job: &Value, except: &[TargetName]| except.iter().any(|name| job["job"]["target"] == name.as_str());
    let mut jobs = Vec::new();
    for (queue, slots) in [(&mut script.revoke, claim.revoke_slots), (&mut script.create, claim.create_slots)] {
        let mut kept = VecDeque::new();
        let mut left = slots;
        while let Some(job) = queue.pop_front() {
            if left > 0 && !excluded(&job, &claim.except_targets) {
                left -= 1;
                jobs.push(job);
            } else {
                kept.push_back(job);
            }
        }
        *queue = kept;
    }
    jobs
}

async fn renew(State(shared): State<Shared>, Path(id): Path<String>, Json(asked): Json<RenewJob>) -> Response {
    let mut script = shared.script.lock().unwrap();
    script.renewals += 1;
    if asked.lease_token != LEASE_TOKEN || script.stolen.contains(&id) {
        return problem(ErrorCode::StaleLease);
    }
    Json(RenewedJob { lease_ms: script.lease_ms }).into_response()
}

async fn complete(State(shared): State<Shared>, Path(id): Path<String>, Json(result): Json<CompleteJob>) -> Response {
    let mut script = shared.script.lock().unwrap();
    if script.stolen.contains(&id) {
        return problem(ErrorCode::StaleLease);
    }
    let changed = script.results.insert(id, result).is_none();
    script.repeats += usize::from(!changed);
    if script.lose_answers > 0 {
        script.lose_answers -= 1;
        return problem(ErrorCode::RequestTimeout);
    }
    Json(CompletedJob { changed }).into_response()
}

async fn heartbeat(State(shared): State<Shared>, Json(beat): Json<Heartbeat>) -> Json<HeartbeatAnswer> {
    shared.script.lock().unwrap().heartbeats.push(beat);
    Json(HeartbeatAnswer {
        version: "0.0.0".to_owned(),
        ledger_time: jiff::Timestamp::UNIX_EPOCH,
        refused_targets: Vec::new(),
    })
}

async fn observe(State(shared): State<Shared>, Json(seen): Json<Observation>) -> Json<Intents> {
    let mut script = shared.script.lock().unwrap();
    let intent = |id: &SessionId| {
        let generation = script.absent.get(id);
        let desired = if generation.is_some() { Desired::Absent } else { Desired::Present };
        SessionIntent { session_id: *id, desired, generation: generation.copied().unwrap_or(1) }
    };
    let intents = seen.roles.iter().map(|role| intent(&role.session_id)).collect();
    script.observations.push(seen);
    Json(Intents { intents, unknown: Vec::new() })
}
