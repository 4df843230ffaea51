//! What one scenario found: tables, charts, what was wanted of it, and what it was measured on. Plain data, so that a
//! run of one scenario today and of another tomorrow make one page.

use serde::{Deserialize, Serialize};

use crate::machine::Run;
use crate::stats::Figures;

/// All that one scenario measured.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// The scenario's word, and the stem of its files.
    pub(crate) name: String,
    /// Heading.
    pub(crate) title: String,
    /// What was done, and what of it was seeded instead of done.
    pub(crate) about: String,
    /// Figures.
    pub(crate) tables: Vec<Table>,
    /// Pictures of them.
    pub(crate) charts: Vec<Chart>,
    /// What was wanted, and whether it was reached. Not a verdict of any test: machines differ.
    pub(crate) wanted: Vec<Wanted>,
    /// What a reader should know before believing a figure.
    pub(crate) notes: Vec<String>,
    /// When, where and from which commit.
    pub(crate) run: Run,
}

/// Named columns and rows of cells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Heading; empty where the scenario's own is enough.
    pub(crate) title: String,
    /// Headings of the columns, with their units.
    pub(crate) columns: Vec<String>,
    /// As many cells in each as there are columns.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// One value of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    /// A number of things.
    Count(u64),
    /// A measured number.
    Number(f64),
    /// A word.
    Text(String),
    /// Not measured, or without meaning here.
    Absent(()),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(u64::try_from(count).expect("a usize is at most 64 bits wide"))
    }
}

impl From<Option<f64>> for Cell {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Absent(()), Self::Number)
    }
}

/// A row of cells of different kinds.
macro_rules! row {
    ($($cell:expr),+ $(,)?) => { vec![$($crate::report::Cell::from($cell)),+] };
}
pub(crate) use row;

impl Table {
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        Self { title: title.to_owned(), columns: columns.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// The columns that [`timed`] fills.
    pub(crate) fn of_times(title: &str) -> Self {
        Self::new(title, &["measured", "clients", "n", "p50 ms", "p95 ms", "p99 ms", "per second"])
    }
}

/// A row of [`Table::of_times`].
pub(crate) fn timed(what: &str, clients: usize, figures: &Figures) -> Vec<Cell> {
    row![what, clients, figures.n, figures.p50_ms, figures.p95_ms, figures.p99_ms, figures.rate]
}

/// A bound, and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) what: String,
    pub(crate) bound: String,
    pub(crate) measured: String,
    pub(crate) reached: bool,
}

impl Wanted {
    /// A value that should be at most `bound`.
    pub(crate) fn at_most(what: &str, measured: f64, bound: f64, unit: &str) -> Self {
        Self::judge(what, "≤", (measured, bound), unit, measured <= bound)
    }

    /// A value that should be at least `bound`.
    pub(crate) fn at_least(what: &str, measured: f64, bound: f64, unit: &str) -> Self {
        Self::judge(what, "≥", (measured, bound), unit, measured >= bound)
    }

    fn judge(what: &str, sign: &str, (measured, bound): (f64, f64), unit: &str, reached: bool) -> Self {
        Self {
            what: what.to_owned(),
            bound: format!("{sign} {bound}{unit}"),
            measured: format!("{measured:.2}{unit}"),
            reached,
        }
    }
}

/// Lines over two axes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Chart {
    /// Stem of the file.
    pub(crate) file: String,
    /// Heading.
    pub(crate) title: String,
    /// To the right.
    pub(crate) x: Axis,
    /// Upwards.
    pub(crate) y: Axis,
    /// Lines, in the order of the legend.
    pub(crate) series: Vec<Series>,
}

/// One direction of a chart.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Axis {
    /// What it counts, with the unit.
    pub(crate) label: String,
    /// How values lie along it.
    pub(crate) scale: Scale,
}

impl Axis {
    /// From zero, evenly.
    pub(crate) fn linear(label: &str) -> Self {
        Self { label: label.to_owned(), scale: Scale::Linear }
    }

    /// Each doubling as far as the one before.
    pub(crate) fn doubling(label: &str) -> Self {
        Self { label: label.to_owned(), scale: Scale::Doubling }
    }
}

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Scale {
    /// From zero, evenly.
    Linear,
    /// Each doubling as far as the one before.
    Doubling,
}

/// One line of a chart.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub(crate) name: String,
    /// Points from left to right.
    pub(crate) points: Vec<[f64; 2]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_is_met_exactly_is_reached() {
        assert!(Wanted::at_most("x", 2.0, 2.0, " ms").reached);
        assert!(Wanted::at_least("x", 2.0, 2.0, "×").reached);
        let missed = Wanted::at_most("x", 2.004, 2.0, " ms");
        assert_eq!((missed.reached, missed.bound.as_str(), missed.measured.as_str()), (false, "≤ 2 ms", "2.00 ms"));
    }

    #[test]
    fn cells_of_every_kind_are_the_same_after_a_file() {
        let cells = row!["raw", 8_usize, 12.5, 100.0, None];
        let text = serde_json::to_string(&cells).unwrap();
        assert_eq!(text, r#"["raw",8,12.5,100.0,null]"#);
        assert_eq!(serde_json::from_str::<Vec<Cell>>(&text).unwrap(), cells);
    }
}
