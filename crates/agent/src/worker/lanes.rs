//! A lane: one long poll for one kind of work, and the slots that its jobs take.
//!
//! Always holds: a claim asks for no more than the free slots, so no lease runs while its job waits here; no target
//! takes all slots while there are others to serve; and after an error the next claim comes after the poll interval,
//! never later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gk_shared::names::TargetName;
use gk_shared::wire::job::ClaimJobs;
use tokio::sync::Notify;
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
    slots: Arc<Slots>,
}

/// Which slots are taken, and for which target.
struct Slots {
    all: u16,
    /// The most that one target gets: with others beside it, a quarter stays free of it.
    each: u16,
    taken: Mutex<BTreeMap<Option<TargetName>, u16>>,
    freed: Notify,
}

/// What a claim may ask for.
#[derive(Debug, PartialEq, Eq)]
struct Room {
    slots: u16,
    full: Vec<TargetName>,
}

impl Slots {
    fn new(all: u16, targets: usize) -> Self {
        let each = if targets > 1 { (all - all / 4).min(all - 1).max(1) } else { all };
        Self { all, each, taken: Mutex::default(), freed: Notify::new() }
    }

    /// The free slots, so many that no target can get more than its share; `None` while there are none.
    fn room(&self) -> Option<Room> {
        let taken = self.taken();
        let free = self.all.saturating_sub(taken.values().sum());
        let is_full = |count: u16| count >= self.each;
        let fullest = taken.values().copied().filter(|count| !is_full(*count)).max().unwrap_or(0);
        let full = taken.iter().filter(|(_, count)| is_full(**count)).filter_map(|(target, _)| target.clone());
        let slots = free.min(self.each - fullest);
        (slots > 0).then(|| Room { slots, full: full.collect() })
    }

    fn take(self: &Arc<Self>, target: Option<TargetName>) -> Slot {
        *self.taken().entry(target.clone()).or_default() += 1;
        Slot { slots: Arc::clone(self), target }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<Option<TargetName>, u16>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot that a job holds.
struct Slot {
    slots: Arc<Slots>,
    target: Option<TargetName>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        if let Some(count) = taken.get_mut(&self.target) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.target);
            }
        }
        drop(taken);
        self.slots.freed.notify_one();
    }
}

impl Lane {
    pub(super) fn revoke(slots: u16, targets: usize) -> Self {
        Self { kind: Kind::Revoke, slots: Arc::new(Slots::new(slots, targets)) }
    }

    pub(super) fn create(slots: u16, targets: usize) -> Self {
        Self { kind: Kind::Create, slots: Arc::new(Slots::new(slots, targets)) }
    }

    /// Claims and starts jobs until `stop` is cancelled.
    pub(super) async fn run(self, worker: Worker, jobs: TaskTracker, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let claimed = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                claimed = self.claim(&worker) => claimed,
            };
            match claimed {
                Ok(claimed) => {
                    failing = false;
                    for job in claimed {
                        self.start(job, &worker, &jobs);
                    }
                }
                Err(error) => {
                    self.complain(&error, failing);
                    failing = true;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(worker.poll_interval) => {}
                    }
                }
            }
        }
    }

    /// Once aloud, then quietly: an outage must not fill the disk with one line twice a second.
    fn complain(&self, error: &ApiError, again: bool) {
        if again {
            tracing::debug!(lane = ?self.kind, %error, "no work could be claimed");
        } else {
            tracing::warn!(lane = ?self.kind, %error, "no work could be claimed; trying again");
        }
    }

    /// Waits for a free slot, then for work.
    async fn claim(&self, worker: &Worker) -> Result<Vec<Claimed>, ApiError> {
        let Room { slots, full } = loop {
            let freed = self.slots.freed.notified();
            if let Some(room) = self.slots.room() {
                break room;
            }
            freed.await;
        };
        let now = Instant::now();
        let dead = worker.targets.values().filter(|target| target.circuit.is_open(now));
        let mut except_targets: Vec<_> = dead.map(|target| target.name.clone()).chain(full).collect();
        except_targets.sort_unstable();
        except_targets.dedup();
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
        let target = match &job {
            Claimed::Job(leased) => Some(leased.job.target().clone()),
            Claimed::Unknown(_) => None,
        };
        let slot = self.slots.take(target);
        let metrics = Arc::clone(&worker.metrics);
        let task = tokio::spawn(run_job::run(worker.clone(), job));
        jobs.spawn(async move {
            let _slot = slot;
            if let Err(error) = task.await {
                metrics.job_panicked();
                tracing::error!(%error, "a job ended in a panic; its lease runs out and it is done again");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TargetName {
        text.parse().expect("a name")
    }

    #[test]
    fn one_target_alone_gets_every_slot() {
        let slots = Arc::new(Slots::new(2, 1));
        assert_eq!(slots.room(), Some(Room { slots: 2, full: vec![] }));
        let held = [slots.take(Some(name("a"))), slots.take(Some(name("a")))];
        assert_eq!(slots.room(), None);
        drop(held);
        assert_eq!(slots.room(), Some(Room { slots: 2, full: vec![] }));
    }

    #[test]
    fn a_target_that_has_its_share_is_left_out_and_the_rest_stays_free_for_others() {
        let slots = Arc::new(Slots::new(8, 2));
        assert_eq!(slots.room(), Some(Room { slots: 6, full: vec![] }));
        let mut held: Vec<_> = (0..4).map(|_| slots.take(Some(name("a")))).collect();
        assert_eq!(slots.room(), Some(Room { slots: 2, full: vec![] }), "never more than the share of a");
        held.extend((0..2).map(|_| slots.take(Some(name("a")))));
        assert_eq!(slots.room(), Some(Room { slots: 2, full: vec![name("a")] }));
        held.extend((0..2).map(|_| slots.take(Some(name("b")))));
        assert_eq!(slots.room(), None);
    }

    #[test]
    fn a_single_slot_serves_several_targets_in_turn() {
        let slots = Arc::new(Slots::new(1, 3));
        assert_eq!(slots.room(), Some(Room { slots: 1, full: vec![] }));
        let held = slots.take(Some(name("a")));
        assert_eq!(slots.room(), None);
        drop(held);
    }
}
