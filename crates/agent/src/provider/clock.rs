//! A target's clock, estimated between looks: the time it last told plus what our monotonic clock has counted since.
//!
//! Always holds: the estimate is never ahead of the target's clock while that one runs evenly, because the time it
//! told was read before the answer arrived. A lease's end computed from it is therefore never too late.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// How old a look may be before a mint asks again.
const FRESH: Duration = Duration::from_secs(20);

/// What is known of a target's clock. Shared by all who talk to that target.
#[derive(Debug, Default)]
pub struct TargetClock {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    last: Option<Reading>,
    moved: SignedDuration,
}

/// One look at the target's clock.
#[derive(Debug, Clone, Copy)]
struct Reading {
    told: Timestamp,
    arrived: Instant,
}

impl Reading {
    fn at(self, now: Instant) -> Timestamp {
        let passed = now.saturating_duration_since(self.arrived);
        self.told.saturating_add(passed).unwrap_or(self.told)
    }
}

impl TargetClock {
    /// Takes in what the target told.
    pub fn learn(&self, told: Timestamp, arrived: Instant) {
        let mut known = self.lock();
        if let Some(reading) = known.last {
            let jump = told.duration_since(reading.at(arrived));
            known.moved = known.moved.saturating_add(jump);
        }
        known.last = Some(Reading { told, arrived });
    }

    /// How far the target's clock has moved against ours since this was last asked.
    ///
    /// A slow answer looks like a clock that was set back by as much, so only what is large means anything.
    pub fn take_moved(&self) -> SignedDuration {
        std::mem::take(&mut self.lock().moved)
    }

    /// The target's time at `now`, if it was looked at lately.
    #[must_use]
    pub fn fresh(&self, now: Instant) -> Option<Timestamp> {
        let reading = self.lock().last?;
        (now.saturating_duration_since(reading.arrived) <= FRESH).then(|| reading.at(now))
    }

    /// The target's time at `now`, however long ago it was looked at.
    #[must_use]
    pub fn estimate(&self, now: Instant) -> Option<Timestamp> {
        self.lock().last.map(|reading| reading.at(now))
    }

    /// When the target's clock will show `moment`, if it was ever looked at. What is past is now.
    #[must_use]
    pub fn instant_of(&self, moment: Timestamp, now: Instant) -> Option<Instant> {
        let reading = self.lock().last?;
        let ahead = moment.duration_since(reading.at(now));
        Some(Duration::try_from(ahead).map_or(now, |ahead| now + ahead))
    }

    /// Forgets what it knew, so that the next mint looks again.
    pub fn forget(&self) {
        self.lock().last = None;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn the_estimate_runs_on_with_our_own_clock() {
        let (clock, start) = (TargetClock::default(), Instant::now());
        clock.learn(time("2026-01-01T00:00:00Z"), start);
        assert_eq!(clock.fresh(start + Duration::from_secs(7)), Some(time("2026-01-01T00:00:07Z")));
    }

    #[test]
    fn a_look_that_is_too_old_gives_no_estimate() {
        let (clock, start) = (TargetClock::default(), Instant::now());
        assert_eq!(clock.fresh(start), None);
        clock.learn(time("2026-01-01T00:00:00Z"), start);
        assert_eq!(clock.fresh(start + FRESH + Duration::from_millis(1)), None);
    }

    #[test]
    fn a_jump_of_the_targets_clock_is_measured_against_our_own() {
        let (clock, start) = (TargetClock::default(), Instant::now());
        clock.learn(time("2026-01-01T00:00:00Z"), start);
        let later = start + Duration::from_secs(5);
        clock.learn(time("2026-01-01T01:00:05Z"), later);
        assert_eq!(clock.take_moved(), SignedDuration::from_hours(1));
        assert_eq!(clock.take_moved(), SignedDuration::ZERO);
        clock.learn(time("2026-01-01T00:00:05Z"), later);
        assert_eq!(clock.take_moved(), SignedDuration::from_hours(-1));
    }

    #[test]
    fn an_expiry_is_turned_into_a_moment_of_our_own_clock() {
        let (clock, start) = (TargetClock::default(), Instant::now());
        assert_eq!(clock.instant_of(time("2026-01-01T00:00:09Z"), start), None);
        clock.learn(time("2026-01-01T00:00:00Z"), start);
        let now = start + Duration::from_secs(2);
        assert_eq!(clock.instant_of(time("2026-01-01T00:00:09Z"), now), Some(start + Duration::from_secs(9)));
        assert_eq!(clock.instant_of(time("2025-12-31T00:00:00Z"), now), Some(now));
    }
}
