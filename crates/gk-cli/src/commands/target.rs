//! `gk target`.

use gk_shared::names::TargetName;
use gk_shared::wire::agent::EndpointHealth;
use gk_shared::wire::catalog::TargetView;

use super::session::view::{moment, span};
use crate::app::App;
use crate::arg::checked;
use crate::error::{CliError, plain};
use crate::output::{Answer, table};
use crate::run::Exit;

/// Databases that sessions can be asked for
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Target {
    List(List),
    Show(Show),
}

/// List the targets that I may use, and the roles that I may have there
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

/// Show one target: where it is, how it is, what I may have there
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Target, as `gk target list` prints it
    #[arg(value_name = "TARGET", value_parser = checked::<TargetName>)]
    target: TargetName,
}

pub(crate) async fn run(app: &App, command: Target) -> Result<Exit, CliError> {
    let client = app.client()?;
    match command {
        Target::List(List {}) => {
            let seen = client.targets().await?;
            let text = table(["TARGET", "STATE", "ADDRESS", "ROLES", "LIVE"], seen.targets.iter().map(row));
            app.out.answer(&Answer::new("gk.targets.v1", &seen, text))?;
            if seen.targets.is_empty() {
                app.out.note("no targets that you may use");
            }
        }
        Target::Show(args) => {
            let seen = client.target(&args.target).await?;
            app.out.answer(&Answer::new("gk.target.v1", &seen, lines(&seen)))?;
        }
    }
    Ok(Exit::OK)
}

fn state(seen: &TargetView) -> &'static str {
    if seen.reachable { "reachable" } else { "unreachable" }
}

fn address(seen: &TargetView) -> Option<String> {
    let (host, port, database) = (seen.host.as_ref()?, seen.port?, seen.database.as_ref()?);
    Some(format!("{host}:{port}/{database}"))
}

fn row(seen: &TargetView) -> [String; 5] {
    let roles: Vec<&str> = seen.roles.iter().map(|allowed| allowed.role.as_str()).collect();
    let address = address(seen).unwrap_or_default();
    [seen.name.to_string(), state(seen).to_owned(), address, roles.join(","), seen.live_sessions.to_string()]
}

fn endpoint(seen: &EndpointHealth) -> String {
    let written = if seen.written { ", written to" } else { "" };
    let behind = seen.behind_bytes.map_or_else(String::new, |bytes| format!(", {bytes} bytes behind"));
    let since = seen
        .unreachable_seconds
        .map_or_else(String::new, |seconds| format!(" for {}", span(i64::try_from(seconds).unwrap_or(i64::MAX))));
    let down = seen.error.as_ref().map_or_else(String::new, |error| format!(", has not answered{since}: {error}"));
    format!("{}:{}  {}{written}{behind}{down}", seen.host, seen.port, seen.role.as_str())
}

fn lines(seen: &TargetView) -> String {
    let rows = [
        ("target", Some(seen.name.to_string())),
        ("state", Some(state(seen).to_owned())),
        ("error", seen.error.clone()),
        ("address", address(seen)),
        ("server", seen.server_version.clone()),
        ("helpers", seen.helpers_version.clone()),
        ("seen", seen.seen_at.map(moment)),
        ("skew", seen.clock_skew_ms.map(|skew| format!("{skew} ms"))),
        ("live", Some(seen.live_sessions.to_string())),
    ];
    let mut text: String = rows
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name:<8} {}\n", plain(&value))))
        .collect();
    for one in &seen.endpoints {
        text += &format!("endpoint {}\n", plain(&endpoint(one)));
    }
    for allowed in &seen.roles {
        let most = span(allowed.max_ttl_seconds.into());
        text += &format!("role     {}  up to {most}, by rule {}\n", allowed.role, plain(&allowed.rule));
    }
    text
}
