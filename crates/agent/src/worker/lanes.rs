//! A lane: one long poll for one kind of work, and the slots that its jobs take.
//!
//! Always holds: a claim asks for no more than the free slots, so no lease runs while its job waits here; and after an
//! error the next claim comes after the poll interval, never later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gk_shared::wire::job::ClaimJobs;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Worker, run_job};
use crate::api::{ApiError, Claimed};

/// How long a claim waits for work.
const WAIT: Duration = Duration::from_secs(25);
/// How long it waits while a target is left out: its work must not wait for the end of a long poll when it is back.
const WAIT_SHORT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Ends and extensions.
    Revoke,
    /// Beginnings.
    Create,
}

/// One lane.
pub(super) struct Lane {
    kind: Kind,
    slots: Arc<Semaphore>,
}

impl Lane {
    pub(super) fn revoke(slots: u16) -> Self {
        Self { kind: Kind::Revoke, slots: Arc::new(Semaphore::new(slots.into())) }
    }

    pub(super) fn create(slots: u16) -> Self {
        Self { kind: Kind::Create, slots: Arc::new(Semaphore::new(slots.into())) }
    }

    /// Claims and starts jobs until `stop` is cancelled.
    pub(super) async fn run(self, worker: Worker, jobs: TaskTracker, stop: CancellationToken) {
        let mut was_refused = false;
        loop {
            let claimed = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                claimed = self.claim(&worker) => claimed,
            };
            match claimed {
                Ok(claimed) => {
                    was_refused = false;
                    for job in claimed {
                        self.start(job, &worker, &jobs);
                    }
                }
                Err(error) => {
                    // Once in full, then quietly: an outage must not fill the disk with one line twice a second.
                    if was_refused {
                        tracing::debug!(lane = ?self.kind, %error, "no work could be claimed");
                    } else {
                        tracing::warn!(lane = ?self.kind, %error, "no work could be claimed; trying again");
                    }
                    was_refused = true;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(worker.poll_interval) => {}
                    }
                }
            }
        }
    }

    /// Waits for a free slot, then for work.
    async fn claim(&self, worker: &Worker) -> Result<Vec<Claimed>, ApiError> {
        // Held only to wait: the slots are taken one by one when the jobs are there.
        let free = self.slots.acquire().await.expect("the semaphore of a lane is never closed");
        let slots = u16::try_from(self.slots.available_permits() + 1).unwrap_or(u16::MAX);
        drop(free);
        let now = Instant::now();
        let left_out = worker.targets.values().filter(|target| target.circuit.is_open(now));
        let except_targets: Vec<_> = left_out.map(|target| target.name.clone()).collect();
        let wait = if except_targets.is_empty() { WAIT } else { WAIT_SHORT };
        let (create_slots, revoke_slots) = match self.kind {
            Kind::Revoke => (0, slots),
            Kind::Create => (slots, 0),
        };
        let wait_ms = u32::try_from(wait.as_millis()).expect("25 s fit");
        worker.api.claim(&ClaimJobs { create_slots, revoke_slots, wait_ms, except_targets }).await
    }

    /// Gives the job a slot and a task of its own.
    fn start(&self, job: Claimed, worker: &Worker, jobs: &TaskTracker) {
        // More than was asked for still gets done, without a slot to count it.
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        let worker = worker.clone();
        let metrics = Arc::clone(&worker.metrics);
        let task = tokio::spawn(run_job::run(worker, job));
        jobs.spawn(async move {
            let _slot = slot;
            if let Err(error) = task.await {
                metrics.job_panicked();
                tracing::error!(%error, "a job ended in a panic; its lease runs out and it is done again");
            }
        });
    }
}
