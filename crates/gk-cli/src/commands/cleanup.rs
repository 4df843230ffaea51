//! `gk cleanup`: for cron. 0 is clean, 10 is findings, 9 is that nobody could look.

use gk_shared::exit::ExitCode;
use gk_shared::names::TargetName;
use gk_shared::wire::cleanup::{CleanupFinding, CleanupReport, RunCleanup};

use super::session::view::span;
use crate::app::App;
use crate::arg::checked;
use crate::error::{CliError, plain};
use crate::output::Answer;
use crate::run::Exit;
use crate::span::Span;

/// Is anything left that should be gone?
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Cleanup {
    Check(Check),
    Run(Run),
}

/// Look for roles past their end: exit 0 clean, 10 findings, 9 could not look
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Only on this target
    #[arg(long, short, value_name = "TARGET", value_parser = checked::<TargetName>)]
    target: Option<TargetName>,
    /// How long a role may be past its end before it counts
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = checked::<Span>)]
    max_lag: Span,
}

/// Try again now to remove what is left
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// Only on this target
    #[arg(long, short, value_name = "TARGET", value_parser = checked::<TargetName>)]
    target: Option<TargetName>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(app: &App, command: Cleanup) -> Result<Exit, CliError> {
    match command {
        Cleanup::Check(args) => check(app, &args).await,
        Cleanup::Run(args) => start(app, args).await,
    }
}

async fn check(app: &App, args: &Check) -> Result<Exit, CliError> {
    let report = app.client()?.cleanup(args.target.as_ref(), args.max_lag.as_duration()).await?;
    let unseen: Vec<&str> = unseen(&report);
    let mut text: String = report.findings.iter().map(line).collect();
    for target in &unseen {
        text += &format!("{target}  nobody could look: no agent has sent what is there   next: gk agent list\n");
    }
    app.out.answer(&Answer::new("gk.cleanup.v1", &report, text))?;
    if !report.findings.is_empty() {
        return Ok(Exit::Code(ExitCode::Finding));
    }
    if !unseen.is_empty() {
        return Ok(Exit::Code(ExitCode::Unavailable));
    }
    app.out.done(&format!("{} clean", count(report.targets.len(), "target")));
    Ok(Exit::OK)
}

fn unseen(report: &CleanupReport) -> Vec<&str> {
    report.targets.iter().filter(|target| !target.looked).map(|target| target.target.as_str()).collect()
}

fn line(finding: &CleanupFinding) -> String {
    let state = finding.status.map_or("unknown to the ledger", |status| status.as_str());
    let danger = if finding.dangerous { ", can still be used" } else { "" };
    format!(
        "{target}  1 role past its end: {}  ({}, {state}{danger}: {})   next: gk cleanup run --target {target}\n",
        plain(&finding.role_name),
        span(finding.overdue_seconds),
        plain(&finding.detail),
        target = finding.target,
    )
}

async fn start(app: &App, args: Run) -> Result<Exit, CliError> {
    let started = app.client()?.run_cleanup(&RunCleanup { target: args.target, dry_run: args.dry_run }).await?;
    let text: String = started.sessions.iter().map(|id| format!("{id}\n")).collect();
    app.out.answer(&Answer::new("gk.cleanup_run.v1", &started, text))?;
    let what = count(started.sessions.len(), "session");
    let done = if started.dry_run { "would be ended again" } else { "queued to be ended again" };
    app.out.note(&format!("{what} {done}"));
    Ok(Exit::OK)
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
