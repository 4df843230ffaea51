//! `cargo xtask bench`: how fast sessions begin and end, and what they cost, beside the raw transaction and OpenBao on the
//! same server in the same run.
//!
//! Everything is a real process: control plane and agent as released, Postgres clusters that reach the disk. A figure is
//! never a verdict of a test; machines differ, so what counts are the ratios of one run.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

mod lab;
mod machine;
mod measure;
mod openbao;
mod ours;
mod page;
mod process;
mod raw;
mod report;
mod seed;
mod stats;
mod svg;
mod turns;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use futures_util::FutureExt as _;

use crate::machine::Run;
use crate::measure::{Plan, Scenario};
use crate::report::Report;

/// Measure Gatekeeper
#[derive(Debug, Parser)]
struct Args {
    /// Measure these alone
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Measure everything: about an hour
    #[arg(long, conflicts_with = "only")]
    all: bool,
    /// OpenBao's program, which then takes part
    #[arg(long)]
    openbao_binary: Option<PathBuf>,
    /// Rounds; in each, the contenders take turns [default: 3, with --all 6]
    #[arg(long)]
    rounds: Option<usize>,
    /// Sessions whose end is measured
    #[arg(long, default_value_t = 40)]
    ends: usize,
    /// Sessions that begin and end in `cycles`
    #[arg(long, default_value_t = 5000)]
    cycles: usize,
    /// The checkout: its docs/ gets the pages, its commit is named on them
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Print, and leave docs/ as it is
    #[arg(long)]
    print_only: bool,
    /// Measure nothing; write the pages anew from the JSON that lies there
    #[arg(long, conflicts_with_all = ["only", "all", "print_only"])]
    pages_only: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    gk_cli::client::install_tls();
    let scenarios = match (&args.only[..], args.all) {
        _ if args.pages_only => &[][..],
        ([], true) => &Scenario::ALL[..],
        ([], false) => &Scenario::QUICK[..],
        (only, _) => only,
    };
    let plan = Plan {
        openbao: args.openbao_binary.clone(),
        rounds: args.rounds.unwrap_or(if args.all { 6 } else { 3 }),
        ends: args.ends,
        cycles: args.cycles,
    };
    let dir = args.root.join("docs/performance");
    let mut failed = false;
    for &scenario in scenarios {
        say(format_args!("── {}", scenario.name()));
        // What one of them cannot measure does not take the figures of the others along.
        let Ok(report) = AssertUnwindSafe(Box::pin(measure(scenario, &plan, &args.root))).catch_unwind().await else {
            say(format_args!("✗  {} could not be measured", scenario.name()));
            failed = true;
            continue;
        };
        println!("{}", page::scenario(&report));
        if !args.print_only {
            keep(&dir, &report);
        }
    }
    if !args.print_only {
        write(&args.root.join("docs/PERFORMANCE.md"), &page::entry(&kept(&dir)));
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Says how far it is, apart from the figures.
pub(crate) fn say(what: std::fmt::Arguments<'_>) {
    eprintln!("{what}");
}

async fn measure(scenario: Scenario, plan: &Plan, root: &Path) -> Report {
    let (at, commit) = (now(), machine::commit(root));
    let (begun, all, ours) = (Instant::now(), process::machine_seconds(), process::family_seconds());
    let findings = scenario.run(plan).await;
    let seconds = begun.elapsed().as_secs_f64();
    let others = (process::machine_seconds() - all) - (process::family_seconds() - ours);
    let cores_taken_by_others = (others / seconds).max(0.0);
    findings.into_report(scenario, Run { at, commit, seconds, cores_taken_by_others, machine: machine::describe() })
}

#[expect(clippy::disallowed_methods, reason = "the entry point says when it measured")]
fn now() -> String {
    format!("{:.0}", jiff::Timestamp::now())
}

/// Writes the report's files.
fn keep(dir: &Path, report: &Report) {
    std::fs::create_dir_all(dir).expect("the checkout can be written");
    let json = serde_json::to_string_pretty(report).expect("a report is plain data");
    write(&dir.join(format!("{}.json", report.name)), &format!("{json}\n"));
    draw(dir, report);
}

/// What can be made from the JSON: page and pictures.
fn draw(dir: &Path, report: &Report) {
    write(&dir.join(format!("{}.md", report.name)), &page::scenario(report));
    for chart in &report.charts {
        write(&dir.join(format!("{}.svg", chart.file)), &svg::draw(chart));
    }
}

/// Every report that lies there, of this run or an earlier one, drawn anew.
fn kept(dir: &Path) -> Vec<Report> {
    let reports = Scenario::ALL.iter().filter_map(|scenario| {
        let text = std::fs::read_to_string(dir.join(format!("{}.json", scenario.name()))).ok()?;
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}.json: {error}", scenario.name())))
    });
    let reports: Vec<Report> = reports.collect();
    reports.iter().for_each(|report| draw(dir, report));
    reports
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
}
