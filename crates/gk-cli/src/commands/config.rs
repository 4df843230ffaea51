//! `gk config`.

use serde_json::json;

use crate::app::App;
use crate::error::CliError;
use crate::output::{Answer, table};
use crate::run::Exit;

/// What gk is set to
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Config {
    List(List),
}

/// List settings: flags stand over the environment, that over .gatekeeper.toml, that over the user's and system's file
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Say where each one comes from
    #[arg(long)]
    show_origin: bool,
}

pub(crate) fn run(app: &App, command: &Config) -> Result<Exit, CliError> {
    let Config::List(args) = command;
    let settings = app.settings()?.list();
    let text: String = if args.show_origin {
        table(
            ["KEY", "VALUE", "ORIGIN"],
            settings.iter().map(|(key, value, origin)| [(*key).to_owned(), value.clone(), origin.clone()]),
        )
    } else {
        settings.iter().map(|(key, value, _)| format!("{key}={value}\n")).collect()
    };
    let all: Vec<_> =
        settings.iter().map(|(key, value, origin)| json!({ "key": key, "value": value, "origin": origin })).collect();
    app.out.answer(&Answer::new("gk.config.v1", &json!({ "settings": all }), text))?;
    if all.is_empty() {
        app.out.note("nothing is set");
    }
    Ok(Exit::OK)
}
