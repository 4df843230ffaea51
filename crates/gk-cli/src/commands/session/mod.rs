//! `gk session`: ask for, look at and end sessions.

mod at_once;
mod create;
mod dsn;
mod extend;
mod list;
mod revoke;
mod show;
pub(crate) mod view;

use crate::app::App;
use crate::error::CliError;
use crate::run::Exit;

/// Ask for, look at and end sessions
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Session {
    Create(create::Args),
    List(list::Args),
    Show(show::Args),
    Dsn(dsn::Args),
    Extend(extend::Args),
    Revoke(revoke::Args),
}

pub(crate) async fn run(app: &App, command: Session) -> Result<Exit, CliError> {
    match command {
        Session::Create(args) => Box::pin(create::run(app, args)).await,
        Session::List(args) => list::run(app, &args).await,
        Session::Show(args) => show::run(app, &args).await,
        Session::Dsn(args) => dsn::run(app, &args).await,
        Session::Extend(args) => extend::run(app, args).await,
        Session::Revoke(args) => revoke::run(app, args).await,
    }
}
