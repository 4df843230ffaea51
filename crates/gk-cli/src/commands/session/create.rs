//! `gk session create`.

use std::time::Duration;

use gk_shared::exit::ExitCode;
use gk_shared::idempotency::IdempotencyKey;
use gk_shared::session::SessionStatus;
use gk_shared::wire::session::{CreateSession, DryRun};

use super::view;
use crate::app::App;
use crate::arg::checked;
use crate::client::Client;
use crate::credential::{FormatFlags, check_place, replace_file};
use crate::error::CliError;
use crate::output::Answer;
use crate::request::{self, Ask, KeptKeys, Made, Ready, Sealing, WantedFlags};
use crate::run::Exit;
use crate::span::Span;

/// Ask for a session and print its connection string
///
/// stdout has the connection string and nothing else, so DSN=$(gk session create …) works. What opens the credential
/// exists in this process alone, unless --no-wait, --idempotency-key or --reuse ask for more.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: WantedFlags,
    #[command(flatten)]
    format: FormatFlags,
    /// Wait at most this long until the session is ready
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_parser = checked::<Span>)]
    wait: Option<Span>,
    /// Do not wait: print the session's id; `gk session dsn ID` has the credential later
    #[arg(long, conflicts_with_all = ["wait", "reuse", "out", "export"])]
    no_wait: bool,
    /// Make a repeat of this command with the same key give the same session
    #[arg(long, value_name = "KEY", value_parser = checked::<IdempotencyKey>)]
    idempotency_key: Option<IdempotencyKey>,
    /// Take a live session of mine for the same target and role whose key --reuse kept; keep the key of a new one
    #[arg(long, conflicts_with = "idempotency_key")]
    reuse: bool,
    /// Say what policy would say, and make nothing
    #[arg(long, conflicts_with_all = ["wait", "no_wait", "reuse", "out", "export"])]
    dry_run: bool,
}

/// A session with less time left than this is not worth taking again.
const WORTH_REUSING: i64 = 30;
const DEFAULT_WAIT: Span = Span::from_secs(30);

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    if let Some(path) = &args.format.out {
        check_place(&app.env.absolute(path))?;
    }
    if !args.dry_run {
        app.out.check_field(&view::FIELDS)?;
    }
    let settings = app.settings()?;
    let wanted = args.wanted.complete(app, &settings).await?;
    let client = app.client_for(&settings)?;
    if args.dry_run {
        return dry_run(app, &client, &wanted).await;
    }
    if args.reuse
        && let Some(ready) = reusable(app, &client, &wanted).await?
    {
        app.out.note(&format!("using {} again", ready.view.session_id));
        return deliver(app, &client, &ready, &args.format, Owner::Earlier).await;
    }
    let wait = if args.no_wait { Duration::ZERO } else { args.wait.unwrap_or(DEFAULT_WAIT).as_duration() };
    // What another process shall open, too, is sealed to the token that both of them have.
    let ask = match args.idempotency_key {
        Some(key) => Ask::by_token(wanted, key, wait),
        None if args.no_wait => Ask::by_token(wanted, crate::client::fresh_key(), wait),
        None => Ask::sealed(wanted, wait),
    };
    match request::make(app, &client, ask).await? {
        Made::Ready(ready) => {
            if let (true, Some(key)) = (args.reuse, &ready.one_time) {
                KeptKeys::new(&app.paths()?).keep(client.address(), &ready.view, key)?;
            }
            deliver(app, &client, &ready, &args.format, Owner::ThisCommand).await
        }
        Made::Coming(view, _) if args.no_wait => {
            let answer = Answer::new("gk.session.v1", &view::as_json(&view, None), view.session_id.to_string());
            app.out.answer(&answer)?;
            app.out.note(&format!("{} is {}; gk session dsn {}", view.session_id, view.status, view.session_id));
            Ok(Exit::OK)
        }
        Made::Coming(view, sealing) => Err(request::leave_coming(app, &client, &view, sealing).await),
    }
}

/// Who began the session that is delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// This command: if nobody gets the credential, the session has to go.
    ThisCommand,
    /// An earlier one.
    Earlier,
}

/// Prints the credential. Where that fails a session of ours is named and ended: nobody could use it.
pub(super) async fn deliver(
    app: &App,
    client: &Client,
    ready: &Ready,
    format: &FormatFlags,
    owner: Owner,
) -> Result<Exit, CliError> {
    let printed = print(app, ready, format);
    let id = ready.view.session_id;
    if let Err(error) = printed {
        if owner == Owner::Earlier {
            return Err(error);
        }
        let fate = match request::end(client, id, "its credential could not be written out").await {
            Ok(()) => format!("session {id} was made and is being ended"),
            Err(_) => format!("session {id} was made and could not be ended: gk session revoke {id}"),
        };
        return Err(error.why(fate).exit_as(ExitCode::Failure).told());
    }
    let (role, target) = (&ready.view.role, &ready.view.target);
    let took = match owner {
        Owner::ThisCommand => format!(", ready in {} ms", ready.took.as_millis()),
        Owner::Earlier => String::new(),
    };
    app.out.done(&format!("{id}  {role} on {target}, expires {}{took}", view::until(&ready.view)));
    app.out.note(&format!(
        "  use  gk connect {target} --role {role}    extend  gk session extend {id} --ttl 15m    end  gk session revoke {id}"
    ));
    Ok(Exit::OK)
}

fn print(app: &App, ready: &Ready, format: &FormatFlags) -> Result<(), CliError> {
    let text = format.write(&ready.view, &ready.dsn)?;
    let uri = ready.dsn.to_uri();
    match &format.out {
        Some(path) => {
            replace_file(&app.env.absolute(path), |before| format.merge(before, &text))?;
            if app.out.for_program() {
                app.out.answer(&Answer::new("gk.session.v1", &view::as_json(&ready.view, None), ""))?;
            }
            Ok(())
        }
        None => {
            let body = view::as_json(&ready.view, Some(uri.expose()));
            app.out.answer(&Answer::new("gk.session.v1", &body, text.as_str()))
        }
    }
}

async fn dry_run(app: &App, client: &Client, wanted: &CreateSession) -> Result<Exit, CliError> {
    let said: DryRun = client.dry_run(wanted, &crate::client::fresh_key()).await?;
    let most = view::span(said.max_ttl_seconds.into());
    let rule = crate::error::plain(&said.rule);
    let text = if said.allowed { format!("allowed by rule {rule}, up to {most}") } else { format!("denied: {rule}") };
    app.out.answer(&Answer::new("gk.dry_run.v1", &said, text))?;
    Ok(if said.allowed { Exit::OK } else { Exit::Code(ExitCode::Denied) })
}

/// A live session whose key was kept; keys of sessions that are over are forgotten on the way.
async fn reusable(app: &App, client: &Client, wanted: &CreateSession) -> Result<Option<Ready>, CliError> {
    let keys = KeptKeys::new(&app.paths()?);
    for id in keys.sessions(client.address(), &wanted.target, &wanted.role) {
        let Ok(view) = client.session(id).await else { continue };
        if view.status != SessionStatus::Ready {
            keys.forget(id);
            continue;
        }
        let long_enough = view.expires_in_seconds.is_some_and(|left| left > WORTH_REUSING);
        if let (true, Some(key)) = (long_enough, keys.find(id))
            && let Ok(ready) = request::opened(view, Sealing::OneTime(key), Duration::ZERO)
        {
            return Ok(Some(ready));
        }
    }
    Ok(None)
}
