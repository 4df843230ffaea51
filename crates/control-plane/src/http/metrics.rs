//! `GET /metrics`: what this process did, and how the ledger stands, as Prometheus reads it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::{MatchedPath, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use gk_shared::session::SessionStatus;
use gk_shared::wire::status::SinkStatus;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::plane::Plane;
use crate::store::jobs::Timing;
use crate::store::status::Gauges;
use crate::store::{Lane, PoolUse};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    kind: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolPart {
    lane: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sink {
    sink: String,
}

/// The numbers of one process.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    answered: Family<Answered, Counter>,
    seconds: Histogram,
    jobs: Family<Kind, Counter>,
    create_to_ready: Histogram,
    end_to_cut: Histogram,
    sessions: Family<Status, Gauge>,
    queue: Family<Queue, Gauge>,
    unsealed: Gauge,
    oldest_uncut: Gauge<f64, AtomicU64>,
    pool: Family<PoolPart, Gauge>,
    regression: Gauge,
    observing: Gauge,
    certificate: Gauge<f64, AtomicU64>,
    sink_waiting: Family<Sink, Gauge>,
    sink_delivered: Family<Sink, Gauge<f64, AtomicU64>>,
    sink_failures: Family<Sink, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        // From a millisecond to about half a minute.
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let metrics = Self {
            registry: Arc::default(),
            answered: Family::default(),
            seconds: seconds(),
            jobs: Family::default(),
            create_to_ready: seconds(),
            end_to_cut: seconds(),
            sessions: Family::default(),
            queue: Family::default(),
            unsealed: Gauge::default(),
            oldest_uncut: Gauge::default(),
            pool: Family::default(),
            regression: Gauge::default(),
            observing: Gauge::default(),
            certificate: Gauge::default(),
            sink_waiting: Family::default(),
            sink_delivered: Family::default(),
            sink_failures: Family::default(),
        };
        Self { registry: Arc::new(metrics.register()), ..metrics }
    }
}

impl Metrics {
    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("gk");
        registry.register("http_requests", "Requests answered, by method, route and status", self.answered.clone());
        registry.register("http_request_seconds", "Time to answer, waits included", self.seconds.clone());
        registry.register("jobs", "Results of jobs taken from agents, by kind and outcome", self.jobs.clone());
        let ready = "From the request to a working credential";
        registry.register("create_to_ready_seconds", ready, self.create_to_ready.clone());
        let cut = "From the wish to end a session to no login and no connection left";
        registry.register("end_to_cut_seconds", cut, self.end_to_cut.clone());
        registry.register("sessions", "Sessions that are not over, by status", self.sessions.clone());
        registry.register("jobs_waiting", "Jobs that are not done, by kind and state", self.queue.clone());
        registry.register("audit_unsealed", "Audit events that are not linked yet", self.unsealed.clone());
        let oldest = "How long the oldest session that should be cut has been waiting for it";
        registry.register("oldest_uncut_seconds", oldest, self.oldest_uncut.clone());
        registry.register("ledger_connections", "Connections to the ledger, by lane and state", self.pool.clone());
        let regression = "1 if the audit log went back behind what was witnessed: nothing is granted";
        registry.register("audit_regression", regression, self.regression.clone());
        let observing = "1 while the ledger is older than what was seen outside of it: nothing is granted";
        registry.register("ledger_observing", observing, self.observing.clone());
        let certificate = "Seconds until the certificate of this port ends; infinite without TLS";
        registry.register("tls_certificate_expires_seconds", certificate, self.certificate.clone());
        let waiting = "Events and checkpoints that a sink of the audit log has not got yet";
        registry.register("audit_sink_waiting", waiting, self.sink_waiting.clone());
        let delivered = "When a sink was last delivered to, in seconds since 1970; 0 if never";
        registry.register("audit_sink_delivered_seconds", delivered, self.sink_delivered.clone());
        let failures = "Deliveries by this process that a sink did not take";
        registry.register("audit_sink_failures", failures, self.sink_failures.clone());
        registry
    }

    /// Counts an answer.
    pub fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let label = Answered { method: method_label(method), route: route.to_owned(), status };
        self.answered.get_or_create(&label).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a job's result.
    pub fn job(&self, kind: &'static str, outcome: &'static str) {
        self.jobs.get_or_create(&Kind { kind, outcome }).inc();
    }

    /// Counts how long a session took to be made, or to be cut off.
    pub fn timed(&self, timing: Timing) {
        if let Some(took) = timing.create_to_ready {
            self.create_to_ready.observe(took.as_secs_f64());
        }
        if let Some(took) = timing.end_to_cut {
            self.end_to_cut.observe(took.as_secs_f64());
        }
    }

    /// Shows how the ledger stands.
    pub fn show(&self, gauges: &Gauges) {
        // A count that is gone has no row to say so.
        for status in SessionStatus::ALL.iter().filter(|status| !status.is_over()) {
            let found = gauges.sessions.iter().find(|(found, _)| found == status);
            let label = Status { status: status.as_str() };
            self.sessions.get_or_create(&label).set(found.map_or(0, |(_, count)| *count));
        }
        self.queue.clear();
        for (kind, state, count) in &gauges.jobs {
            self.queue.get_or_create(&Queue { kind: kind.clone(), state: state.clone() }).set(*count);
        }
        self.unsealed.set(gauges.audit_unsealed);
        self.oldest_uncut.set(gauges.oldest_uncut_seconds);
    }

    /// Shows how the sinks of the audit log stand.
    pub fn show_sinks(&self, sinks: &[SinkStatus]) {
        for found in sinks {
            let label = Sink { sink: found.name.clone() };
            self.sink_waiting.get_or_create(&label).set(found.waiting);
            let delivered = found.delivered_at.map_or(0.0, |at| at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64());
            self.sink_delivered.get_or_create(&label).set(delivered);
        }
    }

    /// Counts a delivery that a sink did not take.
    pub fn sink_failed(&self, sink: &str) {
        self.sink_failures.get_or_create(&Sink { sink: sink.to_owned() }).inc();
    }

    /// Shows whether the audit log went back.
    pub fn show_regression(&self, (found, observing): (bool, bool)) {
        self.regression.set(found.into());
        self.observing.set(observing.into());
    }

    /// Shows for how long the certificate of this port still holds, if there is one.
    pub fn show_certificate(&self, left: Option<SignedDuration>) {
        self.certificate.set(left.map_or(f64::INFINITY, |left| left.as_secs_f64()));
    }

    /// Shows how busy the connections of a lane are.
    pub fn show_pool(&self, lane: Lane, used: PoolUse) {
        let lane = match lane {
            Lane::Normal => "normal",
            Lane::Ending => "ending",
        };
        for (state, count) in [("open", used.open), ("idle", used.idle), ("waiting", used.waiting)] {
            self.pool.get_or_create(&PoolPart { lane, state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// All numbers as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes every write");
        text
    }
}

/// Work that is done once in a while, however often it is asked for; who asks meanwhile waits for it and has it done.
#[derive(Debug)]
pub struct OnceIn {
    every: Duration,
    last: Mutex<Option<Instant>>,
}

impl OnceIn {
    /// At most once in this time.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { every, last: Mutex::default() }
    }

    /// Does `work`, unless it was done or tried a moment ago.
    ///
    /// # Errors
    /// What went wrong, for the one who did it.
    pub async fn run<E>(&self, work: impl Future<Output = Result<(), E>>) -> Result<(), E> {
        let mut last = self.last.lock().await;
        if last.is_some_and(|last| last.elapsed() < self.every) {
            return Ok(());
        }
        // Before and after: one who goes away in the middle has asked, too.
        *last = Some(Instant::now());
        let done = work.await;
        *last = Some(Instant::now());
        done
    }
}

/// The methods that exist here; others share one label, so that a caller cannot make labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// The route's pattern without the version; what matched none is `other`.
#[must_use]
pub fn route_label(matched: Option<&MatchedPath>) -> String {
    let path = matched.map_or("other", MatchedPath::as_str);
    path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path).to_owned()
}

/// `GET /metrics`.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "Numbers, as Prometheus reads them", body = String, content_type = "application/openmetrics-text")))]
pub async fn metrics(State(plane): State<Plane>) -> Response {
    if let Err(error) = plane.refresh_gauges().await {
        // Without the ledger the numbers of this process are still worth reading.
        tracing::warn!(error = %super::problem::chain(&error), "the ledger's numbers are stale");
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], plane.metrics.text()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_of_scrapers_makes_one_look_a_second_whether_it_works_or_not() {
        let once = OnceIn::new(Duration::from_secs(1));
        let looks = &AtomicU32::new(0);
        let look = |done: Result<(), ()>| {
            once.run(async move {
                looks.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(3)).await;
                done
            })
        };
        let all = futures_util::future::join_all((0..50).map(|_| look(Ok(())))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(looks.load(Ordering::Relaxed), 1, "who asks meanwhile has it done, too");
        tokio::time::advance(Duration::from_millis(900)).await;
        assert_eq!((look(Ok(())).await, looks.load(Ordering::Relaxed)), (Ok(()), 1), "it still holds");
        tokio::time::advance(Duration::from_millis(101)).await;
        assert_eq!((look(Err(())).await, look(Err(())).await), (Err(()), Ok(())));
        assert_eq!(looks.load(Ordering::Relaxed), 2);
        let gone = tokio::time::timeout(Duration::from_secs(1), look(Ok(())));
        tokio::time::advance(Duration::from_millis(1001)).await;
        assert!(gone.await.is_err());
        assert!(look(Ok(())).await.is_ok());
        assert_eq!(looks.load(Ordering::Relaxed), 3, "who went away in the middle has asked, too");
    }
}
