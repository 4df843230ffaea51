//! `gk exec`.

use std::ffi::OsString;
use std::time::Duration;

use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::session::CreateSession;

use crate::app::App;
use crate::client::Client;
use crate::error::CliError;
use crate::exec::{self, Plan, Signals};
use crate::request::{self, Ask, Made, WantedFlags};
use crate::run::Exit;

/// Run a command with a session of its own, and end the session when the command ends
///
/// The command gets PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSFILE, PGAPPNAME, GK_SESSION_ID and GK_SESSION_EXPIRES_AT.
/// gk exits as the command does; 125 when gk itself failed, 126 and 127 when the command cannot be run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: WantedFlags,
    /// Give the command DATABASE_URL as well, password included
    #[arg(long, value_name = "WHAT")]
    env: Option<Extra>,
    /// Allow it inside another gk exec
    #[arg(long)]
    nested: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What the child may get beside the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Extra {
    /// DATABASE_URL
    Dsn,
}

const WAIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    refuse_nesting(app, args.nested)?;
    let settings = app.settings().map_err(as_exec)?;
    let name = args.command.first().ok_or_else(|| CliError::usage("COMMAND is missing"))?;
    exec::ready_to_run(&app.env, name)?;
    let wanted = args.wanted.complete(app, &settings).await.map_err(as_exec_unless_usage)?;
    let client = app.client_for(&settings).map_err(as_exec)?;
    let plan = Plan { command: args.command, database_url: args.env == Some(Extra::Dsn) };
    run_on_fresh_session(app, &client, wanted, &plan).await
}

/// A session in a session is mostly a mistake: the inner one would silently stand over the outer one.
pub(super) fn refuse_nesting(app: &App, nested: bool) -> Result<(), CliError> {
    match app.env.text("GK_SESSION_ID")? {
        Some(session) if !nested => {
            Err(CliError::new(ErrorCode::AlreadyInside, format!("this shell already runs inside session {session}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Makes the session, runs the command on it, ends it.
pub(super) async fn run_on_fresh_session(
    app: &App,
    client: &Client,
    wanted: CreateSession,
    plan: &Plan,
) -> Result<Exit, CliError> {
    let failed = |error| as_exec(CliError::new(ErrorCode::Internal, format!("cannot catch signals: {error}")));
    // Before the request: what comes between a session that is ready and its command must not be lost.
    let signals = Signals::listen().map_err(failed)?;
    match request::make(app, client, Ask::sealed(wanted, WAIT)).await.map_err(as_exec)? {
        Made::Ready(ready) => {
            let until = super::session::view::until(&ready.view);
            let (id, role, target) = (ready.view.session_id, &ready.view.role, &ready.view.target);
            app.out.done(&format!("{id}  {role} on {target}, expires {until}"));
            exec::run(app, client, &ready, (plan, signals)).await
        }
        Made::Coming(view, _) => {
            let id = view.session_id;
            let error = CliError::new(ErrorCode::WaitTimeout, format!("session {id} was not ready within 30 s"));
            let fate = match request::end(client, id, "not ready in time for its command").await {
                Ok(()) => "it is being ended".to_owned(),
                Err(_) => format!("it could not be ended: gk session revoke {id}"),
            };
            Err(as_exec(error.why(fate)))
        }
    }
}

/// A command line that is wrong stays that: nothing has begun.
pub(super) fn as_exec_unless_usage(error: CliError) -> CliError {
    if error.exit() == ExitCode::Usage { error } else { as_exec(error) }
}

/// A failure of gk itself must not look like the command's. A signal stays what it is.
pub(super) fn as_exec(error: CliError) -> CliError {
    if error.code() == Some(ErrorCode::Interrupted) { error } else { error.exit_as(ExitCode::ExecFailed) }
}
