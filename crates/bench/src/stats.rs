//! Durations of one measured thing, and what is said of them.

use std::time::Duration;

/// What one turn of one contender came to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Turn {
    /// Of each thing that was done.
    pub(crate) durations: Vec<Duration>,
    /// From the first to the last.
    pub(crate) wall: Duration,
}

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

    /// Puts another turn of the same measurement to this one.
    pub(crate) fn join(&mut self, turn: Turn) {
        self.durations.extend(turn.durations);
        self.wall += turn.wall;
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

impl FromIterator<Duration> for Sample {
    fn from_iter<I: IntoIterator<Item = Duration>>(durations: I) -> Self {
        Self { durations: durations.into_iter().collect(), wall: Duration::ZERO }
    }
}

/// The figures of a sample.
#[derive(Debug, Clone, Copy)]
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
pub(crate) fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("a run is far shorter than 2^32 things"))
}

/// The line through these points by least squares: its slope. Zero where there are fewer than two.
pub(crate) fn slope(points: &[[f64; 2]]) -> f64 {
    let n = count(points.len());
    let mean = |pick: fn(&[f64; 2]) -> f64| points.iter().map(pick).sum::<f64>() / n;
    let (x, y) = (mean(|point| point[0]), mean(|point| point[1]));
    let along: f64 = points.iter().map(|point| (point[0] - x).powi(2)).sum();
    let across: f64 = points.iter().map(|point| (point[0] - x) * (point[1] - y)).sum();
    if along > 0.0 { across / along } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sample: Sample = (1..=200).rev().map(Duration::from_millis).collect();
        let figures = sample.figures();
        assert_eq!((figures.p50_ms, figures.p95_ms, figures.p99_ms), (100.0, 190.0, 198.0));
        assert_eq!(figures.rate, None);
    }

    #[test]
    fn nothing_measured_is_nothing_and_no_panic() {
        assert_eq!(Sample::default().figures().n, 0);
        assert_eq!(slope(&[]), 0.0);
    }

    #[test]
    fn a_rate_counts_the_time_of_the_turns_alone() {
        let mut sample = Sample::default();
        for _ in 0..2 {
            sample.join(Turn { durations: vec![Duration::from_millis(5); 10], wall: Duration::from_secs(1) });
        }
        assert_eq!(sample.figures().rate, Some(10.0));
    }

    #[test]
    fn the_slope_of_a_straight_line_is_its_own() {
        assert!((slope(&[[0.0, 1.0], [10.0, 6.0], [20.0, 11.0]]) - 0.5).abs() < 1e-9);
    }
}
