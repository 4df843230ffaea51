//! `gk version`.

use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::convert::VERSION;
use crate::error::{CliError, plain};
use crate::output::Answer;
use crate::run::Exit;

/// Print the versions of gk and, where one answers, of the control plane
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) async fn run(app: &App, _args: &Args) -> Result<Exit, CliError> {
    let server = server(app).await;
    let mut text = format!("gk {VERSION}\n");
    if let Some(server) = &server {
        text += &format!("control plane {}\n", plain(server));
    }
    app.out.answer(&Answer::new("gk.version.v1", &json!({ "gk": VERSION, "controlPlane": server }), text))?;
    Ok(Exit::OK)
}

/// Its version, if it can be asked. That it cannot is no failure of this command.
async fn server(app: &App) -> Option<String> {
    let client = app.client().ok()?;
    let me = tokio::time::timeout(PATIENCE, client.me()).await.ok()?.ok()?;
    Some(me.version)
}
