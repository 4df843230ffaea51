//! `gk agent`.

use gk_shared::names::{AgentName, TargetName};
use gk_shared::wire::agent::{AgentIdentityKind, AgentView, EnrollAgent};
use serde_json::json;

use super::session::view::moment;
use super::token::wire_secs;
use crate::app::App;
use crate::arg::checked;
use crate::credential::{check_place, write_file};
use crate::error::{CliError, plain};
use crate::output::{Answer, table};
use crate::run::Exit;
use crate::span::Span;

/// Agents beside the databases (for admins)
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Agent {
    List(List),
    Enroll(Enroll),
    Revoke(Revoke),
}

/// List agents, their targets, and when they were last heard of
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

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
    let state = if agent.online { "online" } else { "offline" };
    let version = agent.version.as_deref().map(plain).unwrap_or_default();
    let seen = agent.last_seen_at.map(moment).unwrap_or_default();
    [agent.name.to_string(), state.to_owned(), targets.join(","), version, seen]
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
