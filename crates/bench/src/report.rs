//! The figures as people read them: one table, with the ratio beside each number that was wanted.

use std::fmt::Write as _;

use serde::Serialize;

use crate::stats::Figures;

/// All that one run measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Lines, in the order of printing.
    pub(crate) rows: Vec<Row>,
    /// What was wanted, and whether it was reached. Not a verdict of any test: machines differ.
    pub(crate) wanted: Vec<Wanted>,
    /// What the figures depend on.
    pub(crate) machine: String,
}

/// One measured thing.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) clients: usize,
    pub(crate) figures: Figures,
}

/// A bound, and what was measured.
#[derive(Debug, Serialize)]
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

impl Report {
    /// As Markdown, which reads well on a terminal too.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let line = |out: &mut String, text: std::fmt::Arguments<'_>| {
            writeln!(out, "{text}").expect("a String takes every write");
        };
        line(&mut out, format_args!("| measured | clients | n | p50 ms | p95 ms | p99 ms | per second |"));
        line(&mut out, format_args!("|---|--:|--:|--:|--:|--:|--:|"));
        for Row { name, clients, figures } in &self.rows {
            let rate = figures.rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}"));
            line(
                &mut out,
                format_args!(
                    "| {name} | {clients} | {} | {:.2} | {:.2} | {:.2} | {rate} |",
                    figures.n, figures.p50_ms, figures.p95_ms, figures.p99_ms
                ),
            );
        }
        line(&mut out, format_args!("\n| wanted | bound | measured | |\n|---|---|---|---|"));
        for Wanted { what, bound, measured, reached } in &self.wanted {
            let mark = if *reached { "yes" } else { "**no**" };
            line(&mut out, format_args!("| {what} | {bound} | {measured} | {mark} |"));
        }
        line(&mut out, format_args!("\n{}", self.machine));
        out
    }
}
