//! `gk agent`.

use std::time::{Duration, Instant};

use gk_shared::exit::ExitCode;
use gk_shared::names::{AgentName, TargetName};
use gk_shared::problem::ErrorCode;
use gk_shared::wire::agent::{AgentIdentityKind, AgentView, DrainAgent, EnrollAgent};
use gk_shared::wire::catalog::TargetView;
use serde_json::json;

use super::session::view::moment;
use super::token::wire_secs;
use crate::app::App;
use crate::arg::checked;
use crate::client::Client;
use crate::credential::{check_place, write_file};
use crate::error::{CliError, plain};
use crate::output::{Answer, table};
use crate::run::Exit;
use crate::span::Span;

/// How long after one look at an agent that drains comes the next.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Agents beside the databases (for admins)
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Agent {
    List(List),
    Show(Show),
    Drain(Drain),
    Enroll(Enroll),
    Revoke(Revoke),
}

/// List agents, their targets, and when they were last heard of
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

/// Show one agent: its targets, how they are, what it is at
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Name of the agent
    #[arg(value_name = "NAME", value_parser = checked::<AgentName>)]
    name: AgentName,
}

/// Give an agent no new sessions, before it is stopped; it goes on ending those there are
#[derive(Debug, clap::Args)]
pub(crate) struct Drain {
    /// Name of the agent
    #[arg(value_name = "NAME", value_parser = checked::<AgentName>)]
    name: AgentName,
    /// Give it new sessions again
    #[arg(long)]
    undo: bool,
    /// Wait until it is at no job any more, at most this long; exit 8 if it still is
    #[arg(long, value_name = "TIME", value_parser = checked::<Span>, conflicts_with = "undo")]
    wait: Option<Span>,
}

/// Refuse an agent's tokens and certificates from its next call on
#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// Name of the agent
    #[arg(value_name = "NAME", value_parser = checked::<AgentName>)]
    name: AgentName,
}

/// Enrol an agent for its targets and print its token, this once
#[derive(Debug, clap::Args)]
pub(crate) struct Enroll {
    /// Name of the agent
    #[arg(value_name = "NAME", value_parser = checked::<AgentName>)]
    name: AgentName,
    /// Target that it serves; may be repeated; those that are new are made
    #[arg(long = "target", short, value_name = "TARGET", required = true, value_delimiter = ',', value_parser = checked::<TargetName>)]
    targets: Vec<TargetName>,
    /// Let it show a certificate: the token works once, for `gk-agent enroll` to fetch it
    #[arg(long)]
    certificate: bool,
    /// How long its token works; 90d where nothing is said, and 1h with --certificate
    #[arg(long, value_name = "TIME", value_parser = checked::<Span>)]
    ttl: Option<Span>,
    /// Write the token into this file, of mode 0600, and not to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<std::path::PathBuf>,
}

pub(crate) async fn run(app: &App, command: Agent) -> Result<Exit, CliError> {
    match command {
        Agent::List(List {}) => list(app).await,
        Agent::Show(args) => show(app, &args.name).await,
        Agent::Drain(args) => drain(app, &args).await,
        Agent::Enroll(args) => enroll(app, args).await,
        Agent::Revoke(args) => revoke(app, &args.name).await,
    }
}

async fn list(app: &App) -> Result<Exit, CliError> {
    let seen = app.client()?.agents().await?;
    let text = table(["AGENT", "STATE", "TARGETS", "VERSION", "SEEN"], seen.agents.iter().map(row));
    app.out.answer(&Answer::new("gk.agents.v1", &seen, text))?;
    if seen.agents.is_empty() {
        app.out.note("no agents; gk agent enroll NAME --target TARGET");
    }
    Ok(Exit::OK)
}

fn row(agent: &AgentView) -> [String; 5] {
    let targets: Vec<&str> = agent.targets.iter().map(AsRef::as_ref).collect();
    let version = agent.version.as_deref().map(plain).unwrap_or_default();
    let seen = agent.last_seen_at.map(moment).unwrap_or_default();
    [agent.name.to_string(), state(agent).to_owned(), targets.join(","), version, seen]
}

fn state(agent: &AgentView) -> &'static str {
    match (agent.online, agent.draining_at.is_some()) {
        (true, false) => "online",
        (true, true) => "draining",
        (false, _) => "offline",
    }
}

/// The agent of this name.
async fn find(client: &Client, name: &AgentName) -> Result<AgentView, CliError> {
    let found = client.agents().await?.agents.into_iter().find(|agent| agent.name == *name);
    found.ok_or_else(|| {
        CliError::new(ErrorCode::NotFound, format!("there is no agent {name}")).next("gk agent list shows all of them")
    })
}

async fn show(app: &App, name: &AgentName) -> Result<Exit, CliError> {
    let client = app.client()?;
    let agent = find(&client, name).await?;
    let targets = client.targets().await?.targets;
    app.out.answer(&Answer::new("gk.agent_view.v1", &agent, lines(&agent, &targets)))?;
    Ok(Exit::OK)
}

fn lines(agent: &AgentView, targets: &[TargetView]) -> String {
    let rows = [
        ("agent", Some(agent.name.to_string())),
        ("id", Some(agent.agent_id.to_string())),
        ("state", Some(state(agent).to_owned())),
        ("draining", agent.draining_at.map(|since| format!("since {}", moment(since)))),
        ("version", agent.version.clone()),
        ("seen", agent.last_seen_at.map(moment)),
        ("jobs", Some(agent.jobs.to_string())),
    ];
    let shown = rows.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    let mut text: String = shown.map(|(name, value)| format!("{name:<8} {}\n", plain(&value))).collect();
    for name in &agent.targets {
        let how = targets.iter().find(|target| target.name == *name).map_or_else(String::new, |target| {
            let error = target.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            let state = if target.reachable { "reachable" } else { "unreachable" };
            format!("  {state}{error}, {} live", target.live_sessions)
        });
        text += &format!("target   {name}{}\n", plain(&how));
    }
    text
}

async fn drain(app: &App, args: &Drain) -> Result<Exit, CliError> {
    let client = app.client()?;
    let mut agent = client.drain_agent(&args.name, &DrainAgent { undo: args.undo }).await?;
    let until = Instant::now() + args.wait.map_or(Duration::ZERO, Span::as_duration);
    while agent.jobs > 0 && Instant::now() < until {
        tokio::time::sleep(LOOK_AGAIN).await;
        agent = find(&client, &args.name).await?;
    }
    app.out.answer(&Answer::new("gk.agent_view.v1", &agent, ""))?;
    let name = &agent.name;
    match (args.undo, agent.jobs) {
        (true, _) => app.out.done(&format!("{name} is given new sessions again")),
        (false, 0) => app.out.done(&format!("{name} is given no new sessions and is at no job: it may be stopped")),
        (false, jobs) => app.out.done(&format!("{name} is given no new sessions; it is at {jobs} jobs")),
    }
    let busy = args.wait.is_some() && agent.jobs > 0;
    Ok(if busy { Exit::Code(ExitCode::Pending) } else { Exit::OK })
}

async fn enroll(app: &App, args: Enroll) -> Result<Exit, CliError> {
    if let Some(path) = &args.out {
        check_place(&app.env.absolute(path))?;
    }
    let identity = if args.certificate { AgentIdentityKind::Certificate } else { AgentIdentityKind::Token };
    let asked = EnrollAgent { name: args.name, targets: args.targets, ttl_seconds: wire_secs(args.ttl)?, identity };
    let made = app.client()?.enroll_agent(&asked).await?;
    match &args.out {
        Some(path) => {
            let lost =
                |error: CliError| error.why(format!("{} is enrolled and its token is lost: enrol it again", made.name));
            write_file(&app.env.absolute(path), made.token.expose()).map_err(lost)?;
            let body = json!({ "agentId": made.agent_id, "name": made.name, "targets": made.targets, "expiresAt": made.expires_at });
            app.out.answer(&Answer::new("gk.agent.v1", &body, ""))?;
        }
        None => app.out.answer(&Answer::new("gk.agent.v1", &made, made.token.expose()))?,
    }
    let targets: Vec<&str> = made.targets.iter().map(AsRef::as_ref).collect();
    let (name, targets, until) = (&made.name, targets.join(", "), moment(made.expires_at));
    app.out.done(&match asked.identity {
        AgentIdentityKind::Token => format!("{name} serves {targets} until {until}"),
        AgentIdentityKind::Certificate => {
            format!("{name} may fetch a certificate for {targets} until {until}: gk-agent enroll --token-file FILE")
        }
    });
    Ok(Exit::OK)
}

async fn revoke(app: &App, name: &AgentName) -> Result<Exit, CliError> {
    let done = app.client()?.revoke_agent(name).await?;
    app.out.answer(&Answer::new("gk.agent_revoked.v1", &done, ""))?;
    app.out.done(&format!("{name} is refused from its next call on ({} tokens and certificates)", done.revoked));
    Ok(Exit::OK)
}
