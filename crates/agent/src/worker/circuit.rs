//! A circuit per target: open after failures to reach it, for a time that doubles, closed by the first success.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a target is worth trying.
#[derive(Debug, Default)]
pub struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

impl Circuit {
    /// The target answered.
    pub fn close(&self) {
        *self.state() = State::default();
    }

    /// The target did not answer: leaves it alone for a while. Failures of calls that began together count as one.
    pub fn trip(&self, now: Instant) {
        let mut state = self.state();
        if state.open_until.is_some_and(|until| now < until) {
            return;
        }
        let pause = FIRST.saturating_mul(1 << state.failures.min(6)).min(LONGEST);
        state.failures = state.failures.saturating_add(1);
        state.open_until = Some(now + pause);
    }

    /// Whether jobs for the target should be left to others for now.
    #[must_use]
    pub fn is_open(&self, now: Instant) -> bool {
        self.state().open_until.is_some_and(|until| now < until)
    }

    /// Whether the last try failed, however long ago.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.state().failures > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_for_longer_each_time_up_to_half_a_minute() {
        let (circuit, mut now) = (Circuit::default(), Instant::now());
        assert!(!circuit.is_open(now));
        for expected_ms in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            circuit.trip(now);
            let end = now + Duration::from_millis(expected_ms);
            assert!(circuit.is_open(end - Duration::from_millis(1)), "{expected_ms}");
            assert!(!circuit.is_open(end), "{expected_ms}");
            now = end;
        }
    }

    #[test]
    fn failures_while_it_is_open_count_once_and_a_success_closes_it() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..20 {
            circuit.trip(now);
        }
        assert!(!circuit.is_open(now + FIRST));
        circuit.trip(now + FIRST);
        circuit.close();
        assert!(!circuit.is_open(now + FIRST) && !circuit.is_failing());
    }
}
