//! The pages for people: one for each scenario under docs/performance/, and docs/PERFORMANCE.md, which begins with what
//! was wanted. Made from the reports alone, so that both say what the JSON says.

use std::fmt::Write as _;

use crate::report::{Cell, Report, Table, Wanted};

/// The entry: what was wanted and where to read on.
pub(crate) fn entry(reports: &[Report]) -> String {
    let mut out = Page::default();
    out.line("# Performance\n");
    out.line(
        "Written by `cargo xtask bench`: control plane, agent, ledger and targets as real processes and release builds, contenders in \
         turns in one run on one machine. Compare ratios, not milliseconds: machines differ, and each page says how much of this \
         one other programs took. A missed bound says so.\n",
    );
    out.line("## What was wanted\n\n| | wanted | measured | |\n|---|---|---|---|");
    for (report, wanted) in reports.iter().flat_map(|report| report.wanted.iter().map(move |wanted| (report, wanted))) {
        let Wanted { what, bound, measured, reached } = wanted;
        let mark = if *reached { "yes" } else { "**no**" };
        out.line(&format!("| [{what}](performance/{}.md) | {bound} | {measured} | {mark} |", report.name));
    }
    out.line("\n## Figures\n");
    for report in reports {
        let run = &report.run;
        let day = run.at.split('T').next().unwrap_or(&run.at);
        let (name, title) = (&report.name, &report.title);
        out.line(&format!(
            "* [{title}](performance/{name}.md) ([JSON](performance/{name}.json)), {day}, {}",
            run.commit
        ));
    }
    if let Some(chart) = reports.iter().flat_map(|report| &report.charts).next() {
        out.line(&format!("\n![{}](performance/{}.svg)", chart.title, chart.file));
    }
    out.line("\n## Measure it yourself\n\n    cargo xtask bench                         # five minutes");
    out.line("    cargo xtask bench --only saturation,boot  # these alone");
    out.line("    cargo xtask bench --all --peer openbao    # everything, beside OpenBao: about an hour");
    out.0
}

/// All of one scenario.
pub(crate) fn scenario(report: &Report) -> String {
    let mut out = Page::default();
    out.line(&format!("# {}\n\n{}\n", report.title, report.about));
    if !report.wanted.is_empty() {
        out.line("| wanted | bound | measured | |\n|---|---|---|---|");
        for Wanted { what, bound, measured, reached } in &report.wanted {
            let mark = if *reached { "yes" } else { "**no**" };
            out.line(&format!("| {what} | {bound} | {measured} | {mark} |"));
        }
        out.line("");
    }
    for table in &report.tables {
        out.table(table);
    }
    for chart in &report.charts {
        out.line(&format!("![{}]({}.svg)\n", chart.title, chart.file));
    }
    for note in &report.notes {
        out.line(&format!("* {note}"));
    }
    out.line("\n## Measured on\n");
    let run = &report.run;
    out.line(&format!("* commit {}, {}, {:.0} s", run.commit, run.at, run.seconds));
    out.line(&format!("* other programs took {:.2} cores meanwhile", run.cores_taken_by_others));
    for (name, value) in &run.machine {
        out.line(&format!("* {name}: {value}"));
    }
    out.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        writeln!(self.0, "{text}").expect("a String takes every write");
    }

    fn table(&mut self, table: &Table) {
        if !table.title.is_empty() {
            self.line(&format!("## {}\n", table.title));
        }
        self.line(&format!("| {} |", table.columns.join(" | ")));
        // Words stand to the left, numbers to the right.
        let number = |place: usize| table.rows.first().is_some_and(|row| !matches!(row[place], Cell::Text(_)));
        let rule: Vec<&str> = (0..table.columns.len()).map(|place| if number(place) { "--:" } else { "---" }).collect();
        self.line(&format!("|{}|", rule.join("|")));
        for row in &table.rows {
            self.line(&format!("| {} |", row.iter().map(shown).collect::<Vec<_>>().join(" | ")));
        }
        self.line("");
    }
}

/// Three digits say all that such a measurement knows.
fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Count(count) => count.to_string(),
        Cell::Absent(()) => "–".to_owned(),
        Cell::Number(number) if number.abs() >= 100.0 => format!("{number:.0}"),
        Cell::Number(number) if number.abs() >= 10.0 => format!("{number:.1}"),
        Cell::Number(number) => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Run;
    use crate::report::{Axis, Chart, row};

    fn report() -> Report {
        let mut table = Table::new("", &["measured", "n", "p50 ms", "per second"]);
        table.rows.push(row!["raw", 100_usize, 12.345, None]);
        let chart = Chart {
            file: "saturation-rate".to_owned(),
            title: "Rate".to_owned(),
            x: Axis::doubling("clients"),
            y: Axis::linear("per second"),
            series: Vec::new(),
        };
        let run = Run {
            at: "2026-11-22T08:00:00Z".to_owned(),
            commit: "abc".to_owned(),
            seconds: 12.0,
            cores_taken_by_others: 0.1,
            machine: vec![("processor".to_owned(), "2 × fast".to_owned())],
        };
        Report {
            name: "saturation".to_owned(),
            title: "Saturation".to_owned(),
            about: "What was done.".to_owned(),
            tables: vec![table],
            charts: vec![chart],
            wanted: vec![Wanted::at_most("p50", 3.0, 2.0, " ms")],
            notes: vec!["A note.".to_owned()],
            run,
        }
    }

    #[test]
    fn a_page_holds_figures_bounds_pictures_and_the_machine() {
        let text = scenario(&report());
        for part in [
            "| raw | 100 | 12.3 | – |",
            "|---|--:|--:|--:|",
            "| p50 | ≤ 2 ms | 3.00 ms | **no** |",
            "](saturation-rate.svg)",
            "* processor: 2 × fast",
            "0.10 cores",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn the_entry_links_every_scenario_and_shows_what_was_missed() {
        let text = entry(&[report()]);
        for part in ["(performance/saturation.md)", "(performance/saturation.json)", "2026-11-22, abc", "**no**"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn a_report_is_the_same_after_its_file() {
        let report = report();
        let again: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(scenario(&again), scenario(&report));
    }
}
