//! The worker: claims jobs, does each in a task of its own, reports how it went.
//!
//! Always holds: ends and extensions have a long poll and slots of their own, so they never wait behind beginnings; a
//! target that does not answer is left out of claims and so never holds up another; and a task that panics is one lost
//! job, not the end of the agent.

mod circuit;
mod lanes;
mod lease;
mod run_job;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gk_shared::names::TargetName;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use circuit::Circuit;

use crate::api::PlaneClient;
use crate::metrics::Metrics;
use crate::target::Target;
use lanes::Lane;

/// What all lanes and jobs share.
#[derive(Clone)]
pub struct Worker {
    /// The control plane.
    pub api: Arc<PlaneClient>,
    /// The targets by name.
    pub targets: Arc<BTreeMap<TargetName, Arc<Target>>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Sessions made at once.
    pub slots: u16,
    /// How long after a failed claim the next one comes.
    pub poll_interval: Duration,
}

/// Ends take little and mostly wait for the target's settle time.
const REVOKE_SLOTS_EACH: u16 = 8;
/// How long running jobs get to finish when the agent is told to stop. What is left runs into its lease's end.
const GRACE: Duration = Duration::from_secs(10);

impl Worker {
    /// Works until `stop` is cancelled and the running jobs have finished, or had their time.
    pub async fn run(self, stop: CancellationToken) {
        let jobs = TaskTracker::new();
        let revoke = Lane::revoke(self.slots.saturating_mul(REVOKE_SLOTS_EACH), self.targets.len());
        let create = Lane::create(self.slots, self.targets.len());
        futures_util::future::join(
            revoke.run(self.clone(), jobs.clone(), stop.clone()),
            create.run(self.clone(), jobs.clone(), stop),
        )
        .await;
        jobs.close();
        if tokio::time::timeout(GRACE, jobs.wait()).await.is_err() {
            tracing::warn!(
                left = jobs.len(),
                "jobs are still running; another agent takes them over when their lease ends"
            );
        }
    }
}
