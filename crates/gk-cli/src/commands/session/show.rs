//! `gk session show`.

use gk_shared::ids::SessionId;

use super::view;
use crate::app::App;
use crate::arg::checked_id;
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;

/// Show one session: where it stands, who asked, when and why it ends
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Session, as `gk session list` prints it
    #[arg(value_name = "SESSION", value_parser = checked_id::<SessionId>)]
    session: SessionId,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let seen = app.client()?.session(args.session).await?;
    app.out.answer(&Answer::new("gk.session.v1", &view::as_json(&seen, None), view::lines(&seen)))?;
    Ok(Exit::OK)
}
