//! Durations of one measured thing, and what is said of them.

use std::time::Duration;

/// All durations of one run, and how long the run took as a whole.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sample {
    durations: Vec<Duration>,
    wall: Duration,
}

impl Sample {
    pub(crate) fn add(&mut self, duration: Duration) {
        self.durations.push(duration);
    }

    /// Puts another round of the same measurement to this one.
    pub(crate) fn join(&mut self, durations: Vec<Duration>, wall: Duration) {
        self.durations.extend(durations);
        self.wall += wall;
    }

    /// What is printed of it.
    pub(crate) fn figures(&self) -> Figures {
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        let rate = (!self.wall.is_zero()).then(|| count(sorted.len()) / self.wall.as_secs_f64());
        Figures {
            n: sorted.len(),
            p50_ms: rank(&sorted, 50),
            p95_ms: rank(&sorted, 95),
            p99_ms: rank(&sorted, 99),
            rate,
        }
    }
}

/// The figures of a sample.
#[derive(Debug, Clone, Copy, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    pub(crate) n: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    /// A second; absent where things were not done one after another without a pause.
    pub(crate) rate: Option<f64>,
}

/// Nearest rank, in milliseconds; zero for an empty sample.
fn rank(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map_or(0.0, |duration| duration.as_secs_f64() * 1000.0)
}

/// A number of things as a factor.
fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("a run is far shorter than 2^32 things"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut sample = Sample::default();
        (1..=200).rev().for_each(|ms| sample.add(Duration::from_millis(ms)));
        let figures = sample.figures();
        assert_eq!((figures.p50_ms, figures.p95_ms, figures.p99_ms), (100.0, 190.0, 198.0));
        assert_eq!(figures.rate, None);
    }

    #[test]
    fn nothing_measured_is_nothing_and_no_panic() {
        assert_eq!(Sample::default().figures().n, 0);
    }
}
