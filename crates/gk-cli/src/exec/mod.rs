//! A child that has a session: gk stays its parent, keeps out of its way, and ends the session when it ends.
//!
//! Always holds: the password reaches the child only through a password file of mode 0600 in a directory of its own,
//! gone when the child is; the child keeps the real terminal; its exit code is gk's.

mod command;
mod signals;
mod watch;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::app::App;
use crate::client::Client;
use crate::config::write_private;
use crate::error::CliError;
use crate::request::{Ready, Stop, end};
use crate::run::Exit;

pub(crate) use command::ready_to_run;
pub(crate) use signals::Signals;

/// Variables of the caller that would stand over what the child is given.
const IN_THE_WAY: [&str; 6] = ["PGPASSWORD", "PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGSSLMODE", "PGOPTIONS"];

/// What to run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The command and its arguments; never empty.
    pub(crate) command: Vec<OsString>,
    /// Whether the child also gets `DATABASE_URL`, password included.
    pub(crate) database_url: bool,
}

/// Runs the child on a session that is ready, and ends the session after it.
pub(crate) async fn run(
    app: &App,
    client: &Client,
    ready: &Ready,
    (plan, signals): (&Plan, Signals),
) -> Result<Exit, CliError> {
    let begun = Instant::now();
    let attended = attend(app, client, ready, (plan, signals)).await;
    if let Ok((status, Watched::Nothing)) = &attended
        && !status.success()
        && let Some(why) = watch::ended_under(client, &ready.view, begun).await
    {
        app.out.warn(&why);
    }
    let why = if attended.is_ok() { "the command ended" } else { "the command did not run" };
    if let Err(error) = end(client, ready.view.session_id, why).await {
        let id = ready.view.session_id;
        app.out.warn(&format!("session {id} could not be ended now ({error}); it ends by itself on time"));
    } else if !matches!(attended, Ok((_, Watched::End))) {
        app.out.done(&format!("session {} is being ended", ready.view.session_id));
    }
    attended.map(|(status, _)| exit_of(status))
}

/// What the watch over the session has said so far.
enum Watched {
    /// Nothing.
    Nothing,
    /// Why the session ended.
    End,
}

async fn attend(
    app: &App,
    client: &Client,
    ready: &Ready,
    (plan, mut early): (&Plan, Signals),
) -> Result<(ExitStatus, Watched), CliError> {
    let failed = |error: std::io::Error| {
        CliError::new(ErrorCode::Internal, format!("cannot run the command: {error}")).exit_as(ExitCode::ExecFailed)
    };
    let place = tempfile::Builder::new().prefix("gk-exec-").tempdir().map_err(failed)?;
    if let Some(stop) = early.so_far().await {
        return Err(not_started(stop));
    }
    let mut signals = early.for_child().map_err(failed)?;
    let mut child = spawn(ready, plan, &place)?;
    if let Some(pid) = signals::pid_of(&child) {
        crate::machine::allow_core(pid, &app.core);
    }
    let watch = watch::until_it_ends(client.clone(), &ready.view);
    tokio::pin!(watch);
    let mut watched = Watched::Nothing;
    loop {
        tokio::select! {
            status = child.wait() => return status.map(|status| (status, watched)).map_err(failed),
            signal = signals.next() => signals::forward(&child, signal),
            why = &mut watch, if matches!(watched, Watched::Nothing) => {
                watched = Watched::End;
                app.out.warn(&why);
            }
        }
    }
}

/// A signal that came while there was no child to have it.
fn not_started(stop: Stop) -> CliError {
    CliError::new(ErrorCode::Interrupted, format!("{}: the command was not started", stop.word()))
        .exit_as(stop.exit())
        .next("Nothing is left to do.")
}

fn spawn(ready: &Ready, plan: &Plan, place: &TempDir) -> Result<Child, CliError> {
    let password_file = place.path().join("pgpass");
    write_private(&password_file, ready.dsn.pgpass_line().expose().as_bytes())?;
    let (name, args) = plan.command.split_first().expect("a plan has a command");
    let mut command = Command::new(name);
    command.args(args);
    for variable in IN_THE_WAY {
        command.env_remove(variable);
    }
    command.envs(ready.dsn.env()).env("PGPASSFILE", &password_file);
    command.env("GK_SESSION_ID", ready.view.session_id.to_string());
    if let Some(until) = ready.view.expires_at {
        command.env("GK_SESSION_EXPIRES_AT", until.to_string());
    }
    if plan.database_url {
        command.env("DATABASE_URL", ready.dsn.to_uri().expose());
    }
    command.spawn().map_err(|error| command::spawn_error(name, &error))
}

/// The child's own code; 128 and the signal where one ended it, as shells say it.
fn exit_of(status: ExitStatus) -> Exit {
    let number = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Exit::Child(u8::try_from(number).unwrap_or(u8::MAX))
}
