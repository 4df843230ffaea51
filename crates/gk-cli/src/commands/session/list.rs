//! `gk session list`.

use std::collections::BTreeMap;
use std::time::Duration;

use gk_shared::names::TargetName;
use gk_shared::wire::session::SessionView;
use serde_json::json;

use super::view;
use crate::app::App;
use crate::arg::checked;
use crate::client::{Client, SessionFilter};
use crate::error::CliError;
use crate::output::{Answer, table, with_schema};
use crate::run::Exit;

/// List my sessions that are not over
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// All sessions that I may see, also those of others and those that are over
    #[arg(long)]
    all: bool,
    /// Only on this target
    #[arg(long, short, value_name = "TARGET", value_parser = checked::<TargetName>)]
    target: Option<TargetName>,
    /// Go on: print each session again when its status changes, one a line
    #[arg(long)]
    watch: bool,
}

const PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let client = app.client()?;
    let filter = SessionFilter { mine: !args.all, live: !args.all, target: args.target.clone() };
    if args.watch {
        return watch(app, &client, &filter).await;
    }
    let sessions = client.all_sessions(&filter).await?;
    let rows = sessions.iter().map(row);
    let text = table(["SESSION", "STATUS", "ROLE", "TARGET", "REQUESTER", "END"], rows);
    let body = json!({ "sessions": sessions.iter().map(|one| view::as_json(one, None)).collect::<Vec<_>>() });
    app.out.answer(&Answer::new("gk.sessions.v1", &body, text))?;
    if sessions.is_empty() {
        app.out.note("no sessions");
    }
    Ok(Exit::OK)
}

fn row(one: &SessionView) -> [String; 6] {
    let id = one.session_id.to_string();
    [id, one.status.to_string(), one.role.to_string(), one.target.to_string(), one.requester.clone(), view::end(one)]
}

/// Prints what changes, until somebody stops it. A session that leaves the live ones is looked at once more.
async fn watch(app: &App, client: &Client, filter: &SessionFilter) -> Result<Exit, CliError> {
    let mut known = BTreeMap::new();
    loop {
        let mut seen = client.all_sessions(filter).await?;
        let gone: Vec<_> = known.keys().copied().filter(|id| !seen.iter().any(|one| one.session_id == *id)).collect();
        for id in gone {
            seen.push(client.session(id).await?);
        }
        for one in &seen {
            if known.get(&one.session_id) != Some(&one.status) {
                show(app, one)?;
                known.insert(one.session_id, one.status);
            }
            if filter.live && one.status.is_over() {
                known.remove(&one.session_id);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Code(gk_shared::exit::ExitCode::Interrupted)),
        }
    }
}

fn show(app: &App, one: &SessionView) -> Result<(), CliError> {
    let line = if app.out.json() {
        with_schema("gk.session.v1", &view::as_json(one, None)).to_string()
    } else {
        row(one).join("  ").trim_end().to_owned()
    };
    app.out.raw(format!("{line}\n").as_bytes())
}
