//! Where an axis has its ticks, and where a value lies on it. Pure.

use crate::report::Scale;

/// Ticks that an axis should have, about.
const ABOUT: f64 = 5.0;

/// One direction of a drawn chart: from values to pixels.
#[derive(Debug)]
pub(super) struct Span {
    scale: Scale,
    /// The value at the beginning and at the end.
    values: (f64, f64),
    /// The pixel at the beginning and at the end.
    pixels: (f64, f64),
    /// Values that are marked.
    pub(super) ticks: Vec<f64>,
}

impl Span {
    /// An axis that holds all of `values`, between two pixels.
    pub(super) fn over(values: impl Iterator<Item = f64>, scale: Scale, pixels: (f64, f64)) -> Self {
        let (least, most) = values.fold((f64::INFINITY, 0.0_f64), |(least, most), v| (least.min(v), most.max(v)));
        let ticks = match scale {
            Scale::Linear => evenly(most),
            Scale::Doubling => doublings(least, most),
        };
        let ends = (ticks.first().copied().unwrap_or(0.0), ticks.last().copied().unwrap_or(1.0));
        Self { scale, values: ends, pixels, ticks }
    }

    /// The pixel of a value.
    pub(super) fn at(&self, value: f64) -> f64 {
        let along = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Doubling => value.max(f64::MIN_POSITIVE).log2(),
        };
        let (from, to) = (along(self.values.0), along(self.values.1));
        let share = if to > from { (along(value) - from) / (to - from) } else { 0.5 };
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }
}

/// From zero to at least `most` in steps of 1, 2 or 5 times a power of ten.
fn evenly(most: f64) -> Vec<f64> {
    if most <= 0.0 {
        return vec![0.0, 1.0];
    }
    let power = 10_f64.powf((most / ABOUT).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| step * ABOUT >= most);
    let step = step.unwrap_or(most);
    let mut ticks = vec![0.0];
    while ticks.last().is_some_and(|&last| last < most) {
        let next = ticks.len();
        ticks.push(crate::stats::count(next) * step);
    }
    ticks
}

/// Powers of two from at most `least` to at least `most`.
fn doublings(least: f64, most: f64) -> Vec<f64> {
    if most <= 0.0 || least <= 0.0 {
        return vec![1.0, 2.0];
    }
    let mut ticks = vec![2_f64.powf(least.log2().floor())];
    while let Some(&last) = ticks.last().filter(|&&last| last < most) {
        ticks.push(last * 2.0);
    }
    ticks
}

/// A tick's label: no more digits than it needs.
pub(super) fn label(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let text = format!("{value:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_ticks_begin_at_zero_and_reach_past_the_largest_value() {
        assert_eq!(evenly(189.0), [0.0, 50.0, 100.0, 150.0, 200.0]);
        assert_eq!(evenly(1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(evenly(0.0), [0.0, 1.0]);
    }

    #[test]
    fn doublings_enclose_the_values() {
        assert_eq!(doublings(1.0, 32.0), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]);
        assert_eq!(doublings(3.0, 9.0), [2.0, 4.0, 8.0, 16.0]);
    }

    #[test]
    fn a_value_lies_between_the_ends_and_doublings_lie_evenly() {
        let span = Span::over([1.0, 16.0].into_iter(), Scale::Doubling, (0.0, 400.0));
        assert_eq!((span.at(1.0), span.at(2.0), span.at(16.0)), (0.0, 100.0, 400.0));
        let upwards = Span::over([50.0].into_iter(), Scale::Linear, (300.0, 100.0));
        assert_eq!((upwards.at(0.0), upwards.at(25.0)), (300.0, 200.0));
    }

    #[test]
    fn labels_are_short() {
        for (value, text) in [(0.0, "0"), (0.6000000000000001, "0.6"), (32.0, "32"), (50_000.0, "50k"), (2.5e6, "2.5M")]
        {
            assert_eq!(label(value), text);
        }
    }
}
