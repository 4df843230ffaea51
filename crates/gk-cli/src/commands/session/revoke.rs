//! `gk session revoke`.

use std::time::Duration;

use gk_shared::ids::SessionId;
use gk_shared::names::TargetName;
use gk_shared::problem::ErrorCode;
use gk_shared::reason::Reason;
use gk_shared::session::SessionStatus;
use gk_shared::wire::session::{RevokeSession, SessionView};
use serde_json::json;

use super::view;
use crate::app::App;
use crate::arg::{checked, checked_id};
use crate::client::{Client, SessionFilter};
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;

/// End sessions now: login off, connections cut, role gone
///
/// Ending a session that is over succeeds, too, so scripts may repeat the command. Waits up to 10 s for the proof.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sessions, as `gk session list` prints them
    #[arg(value_name = "SESSION", value_parser = checked_id::<SessionId>, conflicts_with_all = ["mine", "all"], required_unless_present_any = ["mine", "all"])]
    sessions: Vec<SessionId>,
    /// All of mine
    #[arg(long)]
    mine: bool,
    /// Everybody's on this target
    #[arg(long, requires = "target", conflicts_with = "mine")]
    all: bool,
    /// Only those on this target
    #[arg(long, short, value_name = "TARGET", value_parser = checked::<TargetName>)]
    target: Option<TargetName>,
    /// What for; kept in the audit log
    #[arg(long, value_name = "TEXT", value_parser = checked::<Reason>)]
    reason: Option<Reason>,
    /// Do not wait for the proof
    #[arg(long)]
    no_wait: bool,
}

const PROOF: Duration = Duration::from_secs(10);

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    let client = app.client()?;
    let ids = chosen(&client, &args).await?;
    let why = RevokeSession { reason: args.reason.as_ref().map(ToString::to_string) };
    let wait = if args.no_wait { Duration::ZERO } else { PROOF };
    let mut ended = Vec::new();
    let mut failed = None;
    for id in ids {
        let before = client.session(id).await;
        match revoke(app, &client, id, &why, wait).await {
            Ok(seen) => {
                report(app, before.ok().as_ref(), &seen);
                ended.push(seen);
            }
            Err(error) if args.sessions.len() > 1 || args.mine || args.all => {
                app.out.warn(&format!("{id}: {error}"));
                failed = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let text: String = ended.iter().map(|one| format!("{}  {}\n", one.session_id, one.status)).collect();
    let body = json!({ "sessions": ended.iter().map(|one| view::as_json(one, None)).collect::<Vec<_>>() });
    app.out.answer(&Answer::new("gk.sessions.v1", &body, text))?;
    Ok(Exit::OK)
}

async fn chosen(client: &Client, args: &Args) -> Result<Vec<SessionId>, CliError> {
    if !args.sessions.is_empty() {
        return Ok(args.sessions.clone());
    }
    let filter = SessionFilter { mine: args.mine, live: true, target: args.target.clone() };
    let live = client.all_sessions(&filter).await?;
    Ok(live.into_iter().map(|one| one.session_id).collect())
}

async fn revoke(
    app: &App,
    client: &Client,
    id: SessionId,
    why: &RevokeSession,
    wait: Duration,
) -> Result<SessionView, CliError> {
    let _progress = app.out.progress(&format!("ending {id}"));
    let deadline = tokio::time::Instant::now() + wait;
    let seen = match client.revoke_session(id, why, wait).await.map_err(CliError::from) {
        // Over already: that is what was wanted.
        Err(error) if error.code() == Some(ErrorCode::SessionEnded) => client.session(id).await?,
        other => other?,
    };
    Ok(client.settled(seen, deadline, |seen| seen.status == SessionStatus::Revoking).await?)
}

fn report(app: &App, before: Option<&SessionView>, seen: &SessionView) {
    let id = seen.session_id;
    let at = seen.ended_at.or(seen.cut_at).map(|at| format!(" at {}", view::moment(at))).unwrap_or_default();
    if before.is_some_and(|before| before.status.is_over()) {
        app.out.note(&format!("{id} already ended{at} ({})", seen.status));
    } else if seen.status == SessionStatus::Quarantined {
        app.out.warn(&format!(
            "{id} is cut off, but its role is still there: {}",
            seen.blocked.as_deref().unwrap_or("unknown")
        ));
    } else if seen.status.is_over() {
        app.out.done(&format!("{id} is {}: no login, no connection, no role{at}", seen.status));
    } else {
        app.out.note(&format!("{id} is {}; it goes on by itself: gk session show {id}", seen.status));
    }
}
