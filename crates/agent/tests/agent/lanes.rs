//! Lanes, slots, leases: nothing waits behind what it has nothing to do with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use gk_agent::Metrics;
use gk_agent::api::PlaneClient;
use gk_agent::config::{AgentConfig, TargetConfig};
use gk_agent::provider::clock::TargetClock;
use gk_agent::provider::{
    DatabaseProvider, EndRequest, Ended, ExtendRequest, Failure, Health, MintRequest, Minted, Observed, ProviderError,
    Swept, Work,
};
use gk_agent::target::{Address, Target};
use gk_agent::worker::Worker;
use gk_shared::wire::job::JobOutcome;
use gk_testkit::{TestPg, Version, eventually};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::lab::{Agent, SOON, Session, TARGET, on_target, target, target_config};
use super::plane::{Plane, token};

/// A host that takes connections and never says a word.
async fn silent_target(name: &str) -> (TargetConfig, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let held = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
        }
    });
    (TargetConfig::new(name.parse().unwrap(), "127.0.0.1", port, "app", None), held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_target_stalls_no_other() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let (dead, _held) = silent_target("dead").await;
    let _agent = Agent::start(&plane, vec![target_config(&pg), dead]);
    let lost: Vec<_> = (0..20).map(|_| on_target(Session::new().create(600), "dead")).collect();
    let unheard: Vec<_> = (0..70).map(|_| on_target(Session::new().revoke(), "dead")).collect();
    for job in lost.iter().chain(&unheard) {
        plane.queue(job, 1);
    }
    // Giving up on the dead target takes five seconds a connection; a whole life beside it does not wait for that.
    let session = Session::new();
    session.minted(&plane, 600).await;
    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    assert!(matches!(plane.outcome(&revoke).await, JobOutcome::Ended { dropped: true, .. }));
    assert_eq!(plane.script().results.len(), 2, "none of the others was given up on yet");
    let outcome = plane.outcome(&lost[0]).await;
    let JobOutcome::Refused { error } = outcome else { panic!("{outcome:?}") };
    assert_eq!((error.code.as_str(), error.retryable), ("target_unreachable", true));
    eventually(SOON, "the dead target is left out of claims", async || {
        let script = plane.script();
        let left_out =
            script.claims.iter().any(|claim| claim.except_targets.iter().any(|name| name.as_str() == "dead"));
        if left_out { Ok(()) } else { Err("it is not") }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_does_not_wait_behind_beginnings() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let ((one, _held), (two, _held_too)) = (silent_target("dead").await, silent_target("dead-too").await);
    let _agent = Agent::start(&plane, vec![target_config(&pg), one, two]);
    let session = Session::new();
    session.minted(&plane, 600).await;
    // Between them the silent targets take every slot for beginnings, for five seconds.
    for target in ["dead", "dead-too"] {
        for _ in 0..8 {
            plane.queue(&on_target(Session::new().create(600), target), 1);
        }
    }
    eventually(SOON, "no slot is left for beginnings", async || {
        let left = plane.script().waiting_creates();
        if left <= 8 { Ok(()) } else { Err(format!("{left} are not claimed")) }
    })
    .await;
    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    assert!(matches!(plane.outcome(&revoke).await, JobOutcome::Ended { dropped: true, .. }));
    assert_eq!(plane.script().results.len(), 2, "the beginnings still hold their slots");
    let claims = plane.script().claims.clone();
    assert!(claims.iter().all(|claim| claim.create_slots <= 8 && claim.revoke_slots <= 64));
    assert!(claims.iter().all(|claim| claim.create_slots == 0 || claim.revoke_slots == 0), "a long poll a lane");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_an_unknown_kind_is_refused_and_others_go_on() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let id = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let job = serde_json::json!({"kind": "freeze_session", "id": id, "target": TARGET, "colour": "blue"});
    plane.queue_raw(&job, 1, true);
    let outcome = plane.outcome_of(id).await;
    let JobOutcome::Refused { error } = outcome else { panic!("{outcome:?}") };
    assert_eq!((error.code.as_str(), error.retryable), ("version_mismatch", false));
    Session::new().minted(&plane, 600).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_work_goes_on_within_the_poll_interval() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    plane.script().down = true;
    let mut config = AgentConfig::new(plane.address.parse().unwrap(), token(), vec![target_config(&pg)]);
    config.poll_interval = Duration::from_millis(50);
    let _agent = Agent::with(config);
    let session = Session::new();
    let job = session.create(600);
    plane.queue(&job, 1);
    assert!(plane.script().claims.is_empty());
    plane.script().down = false;
    session.dsn(&plane.outcome(&job).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_lease_was_lost_is_dropped_without_a_word() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let (dead, _held) = silent_target("dead").await;
    let _agent = Agent::start(&plane, vec![target_config(&pg), dead]);
    let job = on_target(Session::new().create(600), "dead");
    let id = job.id().to_string();
    plane.script().lease_ms = 1000;
    plane.script().stolen.insert(id.clone());
    plane.queue(&job, 1);
    eventually(SOON, "the lease is asked for again", async || {
        if plane.script().renewals > 0 { Ok(()) } else { Err("it is not") }
    })
    .await;
    plane.script().stolen.clear();
    plane.script().lease_ms = 30_000;
    Session::new().minted(&plane, 600).await;
    assert!(!plane.script().results.contains_key(&id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_reported_past_the_end_of_its_lease() {
    const LOST: usize = 12;
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    // Its answers are lost for longer than the lease holds, a quarter of a second apart.
    (plane.script().lease_ms, plane.script().lose_answers) = (1500, LOST);
    plane.queue(&Session::new().create(600), 1);
    eventually(SOON, "it is reported again and again", async || {
        let repeats = plane.script().repeats;
        if repeats == LOST { Ok(()) } else { Err(repeats) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mint_that_waited_past_its_lease_makes_nothing() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    Session::new().minted(&plane, 600).await;
    let admin = pg.superuser("app").await;
    admin.batch_execute("BEGIN; LOCK TABLE gk.pack IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let late = Session::new();
    plane.script().lease_ms = 1500;
    plane.queue(&late.create(600), 1);
    waits_for_a_lock(&pg).await;
    // From here the agent hears nothing of its lease, as if it were stopped; the lease passes while the mint waits.
    plane.script().down = true;
    tokio::time::sleep(Duration::from_millis(1600)).await;
    admin.batch_execute("ROLLBACK").await.unwrap();
    plane.script().down = false;
    plane.script().lease_ms = 30_000;
    Session::new().minted(&plane, 600).await;
    let role = late.id.role_name().to_string();
    let there = admin.query_one("SELECT count(*) FROM pg_roles WHERE rolname = $1", &[&role]).await.unwrap();
    assert_eq!(there.get::<_, i64>(0), 0);
}

async fn waits_for_a_lock(pg: &TestPg) {
    let admin = pg.superuser("app").await;
    eventually(SOON, "the mint waits for the lock", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'gk_agent'";
        let waiting: i64 = admin.query_one(sql, &[]).await.unwrap().get(0);
        if waiting > 0 { Ok(()) } else { Err("nothing waits") }
    })
    .await;
}

/// A target whose mint panics the first time.
#[derive(Default)]
struct Clumsy {
    mints: AtomicUsize,
    clock: TargetClock,
}

fn no<T: Send + 'static>() -> Work<'static, T> {
    Box::pin(async { Err(ProviderError::new(Failure::Refused, "not in this test")) })
}

impl DatabaseProvider for Clumsy {
    fn mint<'a>(&'a self, _: &'a MintRequest) -> Work<'a, Minted> {
        let before = self.mints.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            assert_ne!(before, 0, "the first mint panics, as this test wants it");
            Err(ProviderError::new(Failure::PackRefused, "no such pack"))
        })
    }
    fn end<'a>(&'a self, _: &'a EndRequest) -> Work<'a, Ended> {
        no()
    }
    fn extend<'a>(&'a self, _: &'a ExtendRequest) -> Work<'a, Timestamp> {
        no()
    }
    fn sweep(&self) -> Work<'_, Vec<Swept>> {
        no()
    }
    fn observe(&self) -> Work<'_, Observed> {
        no()
    }
    fn health(&self) -> Work<'_, Health> {
        no()
    }
    fn guard(&self, stop: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(stop.cancelled_owned())
    }
    fn clock(&self) -> &TargetClock {
        &self.clock
    }
}

#[tokio::test]
async fn a_panic_is_one_lost_job_and_frees_its_slot() {
    let plane = Plane::start().await;
    let config = AgentConfig::new(plane.address.parse().unwrap(), token(), Vec::new());
    let address = Address { host: "127.0.0.1".to_owned(), port: 1, database: "app".to_owned() };
    let name = TARGET.parse().unwrap();
    let target = Arc::new(Target::new(TARGET.parse().unwrap(), address, Arc::new(Clumsy::default())));
    let (stop, metrics) = (CancellationToken::new(), Arc::new(Metrics::default()));
    let worker = Worker {
        api: Arc::new(PlaneClient::new(&config).unwrap()),
        targets: Arc::new(BTreeMap::from([(name, target)])),
        metrics: Arc::clone(&metrics),
        slots: 1,
        poll_interval: Duration::from_millis(50),
    };
    let running = tokio::spawn(worker.run(stop.clone()));
    let (first, second) = (Session::new().create(600), Session::new().create(600));
    plane.queue(&first, 1);
    plane.queue(&second, 1);
    let outcome = plane.outcome(&second).await;
    let JobOutcome::Refused { error } = outcome else { panic!("{outcome:?}") };
    assert_eq!((error.code.as_str(), error.retryable), ("pack_refused", false));
    assert!(!plane.script().results.contains_key(&first.id().to_string()));
    assert!(metrics.text().unwrap().contains("gk_agent_job_panics_total 1"));
    stop.cancel();
    running.await.unwrap();
}
