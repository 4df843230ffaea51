//! `gk dev`. What it does is in [`crate::dev`].

use crate::app::App;
use crate::error::CliError;
use crate::run::Exit;

pub(crate) use crate::dev::DevArgs as Args;

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    crate::dev::run(&args, app).await?;
    Ok(Exit::OK)
}
