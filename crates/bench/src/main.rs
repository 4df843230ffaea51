//! `cargo xtask bench`: how fast sessions begin and end, beside the raw transaction on the same server in the same run.
//!
//! Everything is a real process: control plane and agent as released, two Postgres clusters that reach the disk. A figure
//! is never a verdict of a test; machines differ, so what counts are the ratios of one run.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

mod ours;
mod raw;
mod report;
mod stats;

use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use gk_cli::client::Client;
use gk_e2e::{DATABASE, Stack, TARGET, Version};
use gk_shared::secret::BearerToken;

use crate::raw::{Raw, join_all};
use crate::report::{Report, Row, Wanted};
use crate::stats::{Figures, Sample};

const AT_ONCE: usize = 8;

/// Measure Gatekeeper beside the raw transaction
#[derive(Debug, Parser)]
struct Args {
    /// Rounds; in each, ours and the raw transaction take turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Sessions in a round for each caller
    #[arg(long, default_value_t = 20)]
    each: usize,
    /// Sessions whose end is measured
    #[arg(long, default_value_t = 30)]
    ends: usize,
    /// Write the figures as JSON here
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the table as Markdown here
    #[arg(long)]
    markdown: Option<PathBuf>,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    gk_cli::client::install_tls();
    let stack = Stack::with(Version::From16).as_in_production().start().await;
    let report = measure(&args, &stack).await;
    println!("{}", report.markdown());
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report).expect("figures are plain data");
        std::fs::write(path, json).expect("the file can be written");
    }
    if let Some(path) = &args.markdown {
        std::fs::write(path, page(&report)).expect("the file can be written");
    }
}

async fn measure(args: &Args, stack: &Stack) -> Report {
    let clients = callers(stack).await;
    let raw = Raw::prepare(&stack.target, DATABASE, AT_ONCE).await;
    let observer = stack.target.superuser(DATABASE).await;
    // What is paid once (connections, caches, plans) is not what is measured.
    raw.round(AT_ONCE, 3).await;
    ours::create_round(&clients, TARGET, 3).await;

    let mut samples: [Sample; 4] = Default::default();
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        let [raw_one, ours_one, raw_many, ours_many] = &mut samples;
        let add = |sample: &mut Sample, (durations, wall)| sample.join(durations, wall);
        add(raw_one, raw.round(1, args.each).await);
        add(ours_one, ours::create_round(&clients[..1], TARGET, args.each).await);
        add(raw_many, raw.round(AT_ONCE, args.each).await);
        add(ours_many, ours::create_round(&clients, TARGET, args.each).await);
    }
    eprintln!("ends");
    let mut revoked = Sample::default();
    for _ in 0..args.ends {
        revoked.add(ours::revoke_to_cut(&clients[0], &observer, TARGET).await);
    }
    let mut expired = Sample::default();
    let ended =
        join_all((0..args.ends).map(|n| ours::expiry_to_cut(&clients[n % clients.len()], &observer, TARGET))).await;
    ended.into_iter().for_each(|lag| expired.add(lag));
    let started = startup(args.ends);
    summary(samples.map(|sample| sample.figures()), [revoked, expired, started].map(|sample| sample.figures()))
}

/// As many callers as are measured at once, each with a token of its own.
async fn callers(stack: &Stack) -> Vec<Client> {
    let mut clients = Vec::new();
    for n in 0..AT_ONCE {
        let person = stack.plane.person(&stack.room, &format!("bench-{n}"), &["requester"]).await;
        let token = BearerToken::parse(&person.token).expect("a fresh token is well formed");
        let address = stack.plane.url().parse().expect("an address of the loopback interface");
        clients.push(Client::new(address, Some(token)).expect("a client can be made"));
    }
    clients
}

/// `gk --version`, from start to end of the process.
fn startup(times: usize) -> Sample {
    let mut sample = Sample::default();
    for _ in 0..times {
        let begun = Instant::now();
        let status =
            std::process::Command::new(gk_e2e::program("gk")).arg("--version").output().expect("gk runs").status;
        assert!(status.success(), "gk --version fails");
        sample.add(begun.elapsed());
    }
    sample
}

fn summary([raw_one, ours_one, raw_many, ours_many]: [Figures; 4], ends: [Figures; 3]) -> Report {
    let [revoked, expired, started] = ends;
    let rate = |figures: &Figures| figures.rate.unwrap_or_default();
    let wanted = vec![
        Wanted::at_most("create→ready p50, 1 at once, ÷ raw", ours_one.p50_ms / raw_one.p50_ms, 3.0, "×"),
        Wanted::at_least("mints/s, 8 at once, ÷ raw", 100.0 * rate(&ours_many) / rate(&raw_many), 40.0, " %"),
        Wanted::at_most("revoke→last connection gone, p99", revoked.p99_ms, 250.0, " ms"),
        Wanted::at_most("end→last connection gone, p95", expired.p95_ms, 2000.0, " ms"),
    ];
    let row = |name: &str, clients, figures| Row { name: name.to_owned(), clients, figures };
    let rows = vec![
        row("raw transaction (CREATE ROLE + GRANT)", 1, raw_one),
        row("create→ready, credential opened", 1, ours_one),
        row("raw transaction (CREATE ROLE + GRANT)", AT_ONCE, raw_many),
        row("create→ready, credential opened", AT_ONCE, ours_many),
        row("revoke→last connection gone", 1, revoked),
        row("end→last connection gone (all at about once)", 1, expired),
        row("gk --version", 1, started),
    ];
    Report { rows, wanted, machine: machine() }
}

/// What the figures depend on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores; 4096 SCRAM iterations on both sides; fsync and synchronous_commit on; all on one machine.")
}

fn page(report: &Report) -> String {
    format!(
        "# Performance\n\nMeasured by `cargo xtask bench`, which writes this page: control plane, agent, ledger and target as real processes, \
         ours and the raw transaction in turns in one run. Compare ratios, not milliseconds.\n\n{}",
        report.markdown()
    )
}
