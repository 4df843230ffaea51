//! When the next session is over: the ends of all that can still log in, by the target's clock. Pure.

use std::collections::{BTreeMap, BTreeSet};

use gk_shared::ids::SessionId;
use jiff::Timestamp;

/// The ends, earliest first.
#[derive(Debug, Default)]
pub struct Timers {
    by_session: BTreeMap<SessionId, Timestamp>,
    by_end: BTreeSet<(Timestamp, SessionId)>,
}

impl Timers {
    /// Notes the end of a session, or moves it.
    pub fn set(&mut self, session: SessionId, end: Timestamp) {
        self.remove(session);
        self.by_session.insert(session, end);
        self.by_end.insert((end, session));
    }

    /// Forgets a session.
    pub fn remove(&mut self, session: SessionId) {
        if let Some(end) = self.by_session.remove(&session) {
            self.by_end.remove(&(end, session));
        }
    }

    /// The earliest end.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.by_end.first().map(|(end, _)| *end)
    }

    /// Forgets those whose end is not after `now`.
    pub fn pass(&mut self, now: Timestamp) {
        while let Some((end, session)) = self.by_end.first().copied().filter(|(end, _)| *end <= now) {
            self.by_end.remove(&(end, session));
            self.by_session.remove(&session);
        }
    }
}

impl FromIterator<(SessionId, Timestamp)> for Timers {
    fn from_iter<I: IntoIterator<Item = (SessionId, Timestamp)>>(ends: I) -> Self {
        let mut timers = Self::default();
        for (session, end) in ends {
            timers.set(session, end);
        }
        timers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: u8) -> SessionId {
        SessionId::from_parts(1_700_000_000_000, [n; 10])
    }
    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn the_earliest_end_is_next_however_they_were_noted() {
        let mut timers: Timers =
            [(session(1), at(30)), (session(2), at(10)), (session(3), at(20))].into_iter().collect();
        assert_eq!(timers.next(), Some(at(10)));
        timers.set(session(2), at(40));
        assert_eq!(timers.next(), Some(at(20)));
        timers.remove(session(3));
        assert_eq!(timers.next(), Some(at(30)));
    }

    #[test]
    fn what_has_passed_is_forgotten_and_the_rest_stays() {
        let mut timers: Timers =
            [(session(1), at(10)), (session(2), at(10)), (session(3), at(11))].into_iter().collect();
        timers.pass(at(10));
        assert_eq!(timers.next(), Some(at(11)));
        timers.pass(at(11));
        assert_eq!(timers.next(), None);
    }
}
