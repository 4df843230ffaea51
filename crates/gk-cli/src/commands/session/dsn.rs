//! `gk session dsn`.

use std::time::Duration;

use gk_shared::ids::SessionId;
use gk_shared::problem::ErrorCode;
use gk_shared::session::SessionStatus;

use super::create::{Owner, deliver};
use crate::app::App;
use crate::arg::checked_id;
use crate::client::is_coming;
use crate::credential::FormatFlags;
use crate::error::CliError;
use crate::request::{self, KeptKeys, Sealing};
use crate::run::Exit;

/// Print the connection string of a session that was asked for earlier
///
/// It works for sessions made with --no-wait, --idempotency-key or --reuse, and for those that came too late. The
/// credential of any other one was sealed to a key that ended with the command that made it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Session, as `gk session list` prints it
    #[arg(value_name = "SESSION", value_parser = checked_id::<SessionId>)]
    session: SessionId,
    #[command(flatten)]
    format: FormatFlags,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let client = app.client()?;
    let view = client.session(args.session).await?;
    let id = view.session_id;
    if is_coming(&view) {
        let error = CliError::new(ErrorCode::SessionNotReady, format!("session {id} is {}", view.status));
        return Err(error.next(format!("Wait for it: gk session show {id}")));
    }
    let keys = KeptKeys::new(&app.paths()?);
    if view.status != SessionStatus::Ready {
        keys.forget(id);
        return Err(CliError::new(ErrorCode::CredentialGone, format!("session {id} is {}", view.status))
            .why("a credential is erased when its session ends"));
    }
    let sealing = match (&view.dsn, keys.find(id)) {
        (None, Some(key)) => Sealing::OneTime(key),
        (Some(_), _) | (None, None) => Sealing::Token,
    };
    let ready = request::opened(view, sealing, Duration::ZERO)?;
    deliver(app, &client, &ready, &args.format, Owner::Earlier).await
}
