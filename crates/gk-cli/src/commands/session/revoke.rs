//! `gk session revoke`.

use std::time::Duration;

use gk_shared::exit::ExitCode;
use gk_shared::ids::SessionId;
use gk_shared::names::TargetName;
use gk_shared::problem::ErrorCode;
use gk_shared::reason::Reason;
use gk_shared::session::SessionStatus;
use gk_shared::wire::session::{RevokeSession, SessionView};
use serde_json::json;
use tokio::time::Instant;

use super::at_once::at_once;
use super::view;
use crate::app::App;
use crate::arg::{checked, checked_id};
use crate::client::{Client, SessionFilter};
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;

/// End sessions now: login off, connections cut, role gone
///
/// Ending a session that is over succeeds, too, so scripts may repeat the command. Waits up to 10 s for the proof that
/// login, connections and role are gone; without it exits 8, and the end goes on by itself.
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
    /// Do not wait for the proof; else none within 10 s is exit 8
    #[arg(long)]
    no_wait: bool,
}

const PROOF: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// A session that shall end, and how it was seen before.
type Chosen = (SessionId, Option<SessionView>);
/// What became of it; a failure is one session's and not that of the others.
type Fate = Result<SessionView, CliError>;

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    let client = app.client()?;
    let chosen = chosen(&client, &args).await?;
    let why = RevokeSession { reason: args.reason.as_ref().map(ToString::to_string) };
    let deadline = Instant::now() + if args.no_wait { Duration::ZERO } else { PROOF };
    let progress = app.out.progress(&match chosen.as_slice() {
        [(only, _)] => format!("ending {only}"),
        several => format!("ending {} sessions", several.len()),
    });
    // All are asked before any is waited for: one that does not settle must not keep the others alive.
    let asked = at_once(chosen, |one| ask(client.clone(), one, why.clone())).await;
    let (before, fates): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let fates = proven(&client, fates, deadline).await;
    drop(progress);
    // Without proof there is no success: a script that goes on after this command may count on the end.
    let unproven = !args.no_wait && fates.iter().any(|fate| is_ending(fate).is_some());
    tell(app, before.iter().zip(fates))?;
    Ok(if unproven { Exit::Code(ExitCode::Pending) } else { Exit::OK })
}

async fn chosen(client: &Client, args: &Args) -> Result<Vec<Chosen>, CliError> {
    if !args.sessions.is_empty() {
        return Ok(args.sessions.iter().map(|id| (*id, None)).collect());
    }
    let filter = SessionFilter { mine: args.mine, live: true, target: args.target.clone() };
    let live = client.all_sessions(&filter).await?;
    Ok(live.into_iter().map(|one| (one.session_id, Some(one))).collect())
}

/// Asks for the end of one session, and waits for nothing.
async fn ask(client: Client, (id, before): Chosen, why: RevokeSession) -> (Chosen, Fate) {
    let before = match before {
        Some(seen) => Some(seen),
        None => client.session(id).await.ok(),
    };
    let fate = match client.revoke_session(id, &why, Duration::ZERO).await.map_err(CliError::from) {
        // Over already: that is what was wanted.
        Err(error) if error.code() == Some(ErrorCode::SessionEnded) => client.session(id).await.map_err(CliError::from),
        other => other,
    };
    ((id, before), fate)
}

/// Looks again at those that are still ending, until all are over or the time is.
async fn proven(client: &Client, mut fates: Vec<Fate>, deadline: Instant) -> Vec<Fate> {
    let mut pause = FIRST_PAUSE;
    loop {
        let ending: Vec<(usize, SessionId)> =
            fates.iter().enumerate().filter_map(|(place, fate)| Some((place, is_ending(fate)?))).collect();
        if ending.is_empty() || Instant::now() + pause > deadline {
            return fates;
        }
        tokio::time::sleep(pause).await;
        let looked = at_once(ending, |(place, id)| {
            let client = client.clone();
            async move { (place, tokio::time::timeout_at(deadline, client.session(id)).await) }
        });
        for (place, seen) in looked.await {
            // No answer in time leaves what was known.
            if let Ok(seen) = seen {
                fates[place] = seen.map_err(CliError::from);
            }
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

fn is_ending(fate: &Fate) -> Option<SessionId> {
    let seen = fate.as_ref().ok()?;
    (seen.status == SessionStatus::Revoking).then_some(seen.session_id)
}

fn tell<'a>(app: &App, fates: impl ExactSizeIterator<Item = (&'a Chosen, Fate)>) -> Result<(), CliError> {
    let (several, mut ended, mut failed) = (fates.len() > 1, Vec::new(), None);
    for ((id, before), fate) in fates {
        match fate {
            Ok(seen) => {
                report(app, before.as_ref(), &seen);
                ended.push(seen);
            }
            Err(error) => {
                if several {
                    app.out.warn(&format!("{id}: {error}"));
                }
                failed = Some(error);
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let text: String = ended.iter().map(|one| format!("{}  {}\n", one.session_id, one.status)).collect();
    let body = json!({ "sessions": ended.iter().map(|one| view::as_json(one, None)).collect::<Vec<_>>() });
    app.out.answer(&Answer::new("gk.sessions.v1", &body, text))?;
    Ok(())
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
