//! One target as the agent keeps it: its provider, whether it answers, what is due to expire, what ended by itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gk_shared::ids::SessionId;
use gk_shared::names::TargetName;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::provider::{DatabaseProvider, Failure, ProviderError};
use crate::reconcile::Timers;
use crate::worker::Circuit;

/// What clients are told of where the target is.
#[derive(Debug, Clone)]
pub struct Address {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
}

/// One target.
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// Where clients find it.
    pub address: Address,
    /// How it is acted on.
    pub provider: Arc<dyn DatabaseProvider>,
    /// Whether it is worth trying.
    pub circuit: Circuit,
    /// Wakes the loop that waits for the next expiry.
    pub(crate) due_changed: Notify,
    /// Asks for a look before its time.
    pub(crate) look_now: Notify,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    timers: Timers,
    /// Ends that were noted since the last look began, which that look may not have seen.
    fresh: Vec<(Instant, SessionId, Timestamp)>,
    /// Ended by a job: the control plane knows it from its report.
    reported: BTreeSet<SessionId>,
    /// Ended without a job: the control plane learns it from the next observation.
    dropped: BTreeSet<SessionId>,
    /// Seen on the target at the last look, in whatever state.
    there: BTreeSet<SessionId>,
    /// Being ended by the reconcile loop.
    ending: BTreeSet<SessionId>,
}

/// What a complete look saw.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The sessions that it names, in whatever state: connections can outlive a role that was dropped by another hand.
    pub(crate) there: BTreeSet<SessionId>,
    /// The ends of those that can still log in.
    pub(crate) ends: Vec<(SessionId, Timestamp)>,
}

impl Notes {
    fn forget(&mut self, session: SessionId) {
        self.timers.remove(session);
        self.fresh.retain(|(_, other, _)| *other != session);
    }

    /// What was named the last time and is not at all now, and was not ended by a job, ended by itself.
    fn take_in(&mut self, look: Look, began: Instant) {
        let gone: Vec<SessionId> = self.there.difference(&look.there).copied().collect();
        for session in gone {
            if !self.reported.remove(&session) {
                self.dropped.insert(session);
            }
        }
        self.fresh.retain(|(noted, ..)| *noted >= began);
        let ends = look.ends.into_iter().filter(|(session, _)| !self.reported.contains(session));
        self.timers = ends.chain(self.fresh.iter().map(|(_, session, end)| (*session, *end))).collect();
        self.reported.retain(|session| look.there.contains(session));
        self.there = look.there;
    }
}

impl Target {
    /// A target that nothing is known of yet.
    #[must_use]
    pub fn new(name: TargetName, address: Address, provider: Arc<dyn DatabaseProvider>) -> Self {
        Self {
            name,
            address,
            provider,
            circuit: Circuit::default(),
            due_changed: Notify::new(),
            look_now: Notify::new(),
            notes: Mutex::new(Notes::default()),
        }
    }

    /// Learns from how a call went whether the target answers.
    pub fn heard<T>(&self, done: &Result<T, ProviderError>) {
        match done.as_ref().map_err(ProviderError::failure) {
            Err(Failure::Unreachable) => self.circuit.trip(Instant::now()),
            // It may be that we could not even ask.
            Err(Failure::Busy) => {}
            Ok(_)
            | Err(
                Failure::Unproven
                | Failure::Fenced
                | Failure::PastLease
                | Failure::PackRefused
                | Failure::ForeignRole
                | Failure::RoleReplaced
                | Failure::HelpersMissing
                | Failure::OverLimit(_)
                | Failure::Refused,
            ) => self.circuit.close(),
        }
    }

    /// A session will be over at `end`, by the target's clock.
    pub fn expects(&self, session: SessionId, end: Timestamp) {
        let mut notes = self.notes();
        notes.timers.set(session, end);
        notes.fresh.push((Instant::now(), session, end));
        drop(notes);
        self.due_changed.notify_one();
    }

    /// A session was ended by a job.
    pub fn ended(&self, session: SessionId) {
        let mut notes = self.notes();
        notes.forget(session);
        notes.reported.insert(session);
    }

    /// A session was ended without a job.
    pub fn dropped(&self, session: SessionId) {
        let mut notes = self.notes();
        notes.forget(session);
        notes.dropped.insert(session);
    }

    /// The next expiry.
    #[must_use]
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.notes().timers.next()
    }

    /// Those whose time is over at `now` are not waited for any longer.
    pub(crate) fn passed(&self, now: Timestamp) {
        self.notes().timers.pass(now);
    }

    /// Takes in what a look saw that began then.
    pub(crate) fn saw(&self, look: Look, began: Instant) {
        self.notes().take_in(look, began);
        self.due_changed.notify_one();
    }

    /// What ended by itself and is not known to the control plane yet.
    #[must_use]
    pub(crate) fn unreported(&self) -> Vec<SessionId> {
        self.notes().dropped.iter().copied().collect()
    }

    /// The control plane knows of these now.
    pub(crate) fn told(&self, sessions: &[SessionId]) {
        let mut notes = self.notes();
        for session in sessions {
            notes.dropped.remove(session);
        }
    }

    /// Whether the reconcile loop may begin to end the session: not while it is at it.
    pub(crate) fn begin_end(&self, session: SessionId) -> bool {
        self.notes().ending.insert(session)
    }

    /// The reconcile loop is through with it, for now.
    pub(crate) fn finish_end(&self, session: SessionId) {
        self.notes().ending.remove(&session);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn session(n: u8) -> SessionId {
        SessionId::from_parts(1_700_000_000_000, [n; 10])
    }
    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }
    fn look(there: &[u8]) -> Look {
        let there: BTreeSet<_> = there.iter().map(|n| session(*n)).collect();
        Look { ends: there.iter().map(|session| (*session, at(100))).collect(), there }
    }

    #[test]
    fn what_vanishes_without_a_job_is_told_to_the_control_plane() {
        let (mut notes, now) = (Notes::default(), Instant::now());
        notes.take_in(look(&[1, 2, 3]), now);
        notes.reported.insert(session(2));
        notes.take_in(look(&[3]), now);
        assert_eq!(notes.dropped, BTreeSet::from([session(1)]));
        assert!(notes.reported.is_empty());
    }

    #[test]
    fn a_mint_during_a_look_keeps_its_timer() {
        let (mut notes, began) = (Notes::default(), Instant::now());
        notes.fresh.push((began + Duration::from_millis(1), session(9), at(50)));
        notes.take_in(look(&[1]), began);
        assert_eq!(notes.timers.next(), Some(at(50)));
        notes.take_in(look(&[1]), began + Duration::from_secs(5));
        assert_eq!(notes.timers.next(), Some(at(100)), "the next look would have seen it");
    }
}
