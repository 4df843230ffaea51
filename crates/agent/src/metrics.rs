//! What the agent counts, in the Prometheus text format.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use gk_shared::names::TargetName;
use gk_shared::wire::agent::EndpointHealth;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::provider::{Observed, SweepOutcome};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabel {
    target: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    target: String,
    endpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabel {
    kind: &'static str,
}

type ByEndpoint = Family<EndpointLabels, Gauge<i64, AtomicI64>>;
type ByTarget = Family<TargetLabel, Gauge<i64, AtomicI64>>;

/// The agent's counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    jobs: Family<JobLabels, Counter>,
    seconds: Family<OutcomeLabel, Histogram, fn() -> Histogram>,
    panics: Counter,
    swept: Family<OutcomeLabel, Counter>,
    roles: ByTarget,
    armed: ByTarget,
    reachable: ByTarget,
    endpoints: ByEndpoint,
    behind: ByEndpoint,
    contradictions: Family<FindingLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("gk_agent"),
            jobs: Family::default(),
            seconds: Family::new_with_constructor(durations as fn() -> Histogram),
            panics: Counter::default(),
            swept: Family::default(),
            roles: Family::default(),
            armed: Family::default(),
            reachable: Family::default(),
            endpoints: Family::default(),
            behind: Family::default(),
            contradictions: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("jobs", "Jobs by kind and outcome", metrics.jobs.clone());
        registry.register("job_seconds", "Time from lease to result by outcome", metrics.seconds.clone());
        registry.register("job_panics", "Jobs that ended in a panic", metrics.panics.clone());
        registry.register("swept", "What sweeps did without a job", metrics.swept.clone());
        registry.register("roles", "Roles of ours on a target at the last look", metrics.roles.clone());
        registry.register("roles_armed", "Roles that can log in at the last look", metrics.armed.clone());
        registry.register("target_reachable", "Whether the last look at a target worked", metrics.reachable.clone());
        let help = "Whether a server of a target with standbys answers";
        registry.register("endpoint_reachable", help, metrics.endpoints.clone());
        let help = "Bytes of the primary's log that a standby has not replayed";
        registry.register("endpoint_behind_bytes", help, metrics.behind.clone());
        let help = "Checkpoints of the audit log that contradict the one seen before";
        registry.register("audit_contradictions", help, metrics.contradictions.clone());
        metrics
    }
}

fn durations() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0])
}

impl Metrics {
    /// A job is done.
    pub fn job(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.jobs.get_or_create(&JobLabels { kind, outcome }).inc();
        self.seconds.get_or_create(&OutcomeLabel { outcome }).observe(took.as_secs_f64());
    }

    /// A job's task panicked.
    pub fn job_panicked(&self) {
        self.panics.inc();
    }

    /// A sweep did something.
    pub fn swept(&self, outcome: SweepOutcome) {
        let outcome = match outcome {
            SweepOutcome::Disarmed => "disarmed",
            SweepOutcome::Killed => "killed",
            SweepOutcome::Dropped => "dropped",
            SweepOutcome::Blocked => "blocked",
        };
        self.swept.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// A target was looked at.
    pub fn observed(&self, target: &TargetName, observed: &Observed) {
        let label = TargetLabel { target: target.to_string() };
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.roles.get_or_create(&label).set(count(observed.roles.len()));
        self.armed.get_or_create(&label).set(count(observed.roles.iter().filter(|role| role.armed).count()));
    }

    /// A target answered, or not.
    pub fn reachable(&self, target: &TargetName, reachable: bool) {
        self.reachable.get_or_create(&TargetLabel { target: target.to_string() }).set(reachable.into());
    }

    /// The servers of a target were looked at.
    pub fn endpoints(&self, target: &TargetName, seen: &[EndpointHealth]) {
        for one in seen {
            let label = EndpointLabels { target: target.to_string(), endpoint: format!("{}:{}", one.host, one.port) };
            self.endpoints.get_or_create(&label).set(one.error.is_none().into());
            let behind = i64::try_from(one.behind_bytes.unwrap_or_default()).unwrap_or(i64::MAX);
            self.behind.get_or_create(&label).set(behind);
        }
    }

    /// A checkpoint of the audit log contradicts the one seen before.
    pub fn audit_contradicted(&self, kind: &'static str) {
        self.contradictions.get_or_create(&FindingLabel { kind }).inc();
    }

    /// Everything as text.
    ///
    /// # Errors
    /// None that a `String` causes.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
