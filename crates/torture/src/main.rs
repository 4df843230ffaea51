//! `gk-torture`: runs the fault matrix against the whole system and writes down what came of it.

#![expect(clippy::print_stdout, reason = "a run tells its reader how it goes")]

use clap::Parser;
use gk_e2e::Version;
use gk_torture::run::{Outcome, Plan, run};
use gk_torture::stage::Dose;
use gk_torture::{modes, need, report};
use rand::RngExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Break everything that can break, and look that the promises hold
#[derive(Debug, Parser)]
struct Args {
    /// How long to go on; every fault is injected at least once
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// Where chance begins, to run a run again
    #[arg(long)]
    seed: Option<u64>,
    /// These faults alone, such as F2,F16
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The cheap faults alone, as CI runs them
    #[arg(long)]
    cheap: bool,
    /// Long doses: past every lease and time-out
    #[arg(long)]
    long: bool,
    /// Clients at work
    #[arg(long, default_value_t = 6)]
    clients: u32,
    /// Postgres older than 16
    #[arg(long)]
    before_16: bool,
    /// So many kills of everything instead of the fault matrix
    #[arg(long, conflicts_with = "expiry")]
    kills: Option<u32>,
    /// So many sessions that end with one part dead, instead of the fault matrix
    #[arg(long)]
    expiry: Option<u32>,
    /// How much wider than promised the judge's bounds are
    #[arg(long, default_value_t = 1)]
    patience: u32,
    /// Where gk-agent and gk-control-plane of an earlier version lie, for the rollout [default: `earlier` beside these programs]
    #[arg(long)]
    earlier: Option<PathBuf>,
    /// Write the page here
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Write the outcome here
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Args {
    fn plan(&self) -> Plan {
        Plan {
            seed: self.seed.unwrap_or_else(|| rand::rng().random()),
            time: Duration::from_secs(self.minutes * 60),
            only: self.only.clone(),
            cheap: self.cheap,
            dose: if self.long { Dose::Long } else { Dose::Short },
            clients: self.clients,
            version: if self.before_16 { Version::Before16 } else { Version::From16 },
            patience: self.patience,
            earlier: self.earlier.clone().unwrap_or_else(need::earlier),
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args = Args::parse();
    let plan = args.plan();
    println!("seed {}", plan.seed);
    let mut say = |line: &str| println!("{line}");
    let outcome = match (args.kills, args.expiry) {
        (Some(kills), _) => modes::kills::run(&plan, kills, &mut say).await,
        (None, Some(sessions)) => Box::pin(modes::expiry::run(&plan, sessions, &mut say)).await,
        (None, None) => run(&plan, &mut say).await,
    };
    if let Err(error) = write(&args, &outcome) {
        println!("error: {error}");
        return ExitCode::FAILURE;
    }
    let failures = outcome.failures();
    failures.iter().for_each(|failure| println!("FAILED: {failure}"));
    println!("{} rounds in {} s, {} failures", outcome.rounds.len(), outcome.seconds, failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write(args: &Args, outcome: &Outcome) -> std::io::Result<()> {
    if let Some(path) = &args.markdown {
        std::fs::write(path, report::markdown(outcome, &machine()))?;
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(outcome).map_err(std::io::Error::other)?;
        std::fs::write(path, json + "\n")?;
    }
    Ok(())
}

/// What it ran on, in a sentence.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    format!("The machine had {cores} cores ({}).", model.trim_start_matches([' ', '\t', ':']))
}
