//! `gk logout`.

use serde_json::json;

use crate::app::App;
use crate::context::TokenStore;
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;
use crate::token::forget_in_keyring;

/// Forget the saved token of the context; the context stays
///
/// The token itself goes on working until its end: `gk token revoke` ends it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(app: &App, _args: &Args) -> Result<Exit, CliError> {
    let settings = app.settings()?;
    let Some(found) = settings.context else {
        app.out.answer(&Answer::new("gk.logout.v1", &json!({ "context": null }), ""))?;
        app.out.note("no context, so nothing to forget");
        return Ok(Exit::OK);
    };
    let name = found.value.name();
    match found.value.token_store() {
        TokenStore::None => {}
        TokenStore::Keyring => forget_in_keyring(name)?,
        TokenStore::File => forget_file(app, &name.to_string())?,
    }
    app.contexts()?.change(|file| {
        if let Some(entry) = file.contexts.get_mut(&name.to_string()) {
            entry.token = TokenStore::None;
        }
    })?;
    app.out.answer(&Answer::new("gk.logout.v1", &json!({ "context": name.to_string() }), ""))?;
    app.out.done(&format!("the token of context {name} is forgotten"));
    Ok(Exit::OK)
}

fn forget_file(app: &App, name: &str) -> Result<(), CliError> {
    let path = app.paths()?.token_file(name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let cause = error.to_string();
            Err(crate::config::ConfigError::Unwritable { path, cause }.into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
