//! `gk context`.

use gk_shared::problem::ErrorCode;
use serde_json::json;

use crate::app::App;
use crate::arg::checked;
use crate::config::Settings;
use crate::context::{ContextName, TokenStore};
use crate::error::CliError;
use crate::output::{Answer, table};
use crate::run::Exit;

/// Control planes by name
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Context {
    List(List),
    Use(Use),
    Show(Show),
}

/// List contexts; the current one is marked
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

/// Make a context the current one
#[derive(Debug, clap::Args)]
pub(crate) struct Use {
    /// Context, as `gk context list` prints it
    #[arg(value_name = "NAME", value_parser = checked::<ContextName>)]
    name: ContextName,
}

/// Show the context that commands use, and why this one
#[derive(Debug, clap::Args)]
pub(crate) struct Show {}

pub(crate) fn run(app: &App, command: Context) -> Result<Exit, CliError> {
    match command {
        Context::List(List {}) => list(app),
        Context::Use(args) => choose(app, &args.name),
        Context::Show(Show {}) => show(app),
    }
}

fn list(app: &App) -> Result<Exit, CliError> {
    let file = app.contexts()?.read()?;
    let is_current = |name: &str| file.current.as_deref() == Some(name);
    let mark = |name: &str| if is_current(name) { "*" } else { "" };
    let rows = file.contexts.iter().map(|(name, entry)| [mark(name).to_owned(), name.clone(), entry.address.clone()]);
    let text = table(["", "NAME", "ADDRESS"], rows);
    let all: Vec<_> = file
        .contexts
        .iter()
        .map(|(name, entry)| json!({ "name": name, "address": entry.address, "token": entry.token, "current": is_current(name) }))
        .collect();
    app.out.answer(&Answer::new("gk.contexts.v1", &json!({ "contexts": all }), text))?;
    if file.contexts.is_empty() {
        app.out.note("no contexts; `gk dev` or `gk login` makes one");
    }
    Ok(Exit::OK)
}

fn choose(app: &App, name: &ContextName) -> Result<Exit, CliError> {
    let name = name.to_string();
    let known = app.contexts()?.change(|file| {
        let known = file.contexts.contains_key(&name);
        if known {
            file.current = Some(name.clone());
        }
        known
    })?;
    if !known {
        let error = CliError::new(ErrorCode::NotFound, format!("there is no context `{name}`"));
        return Err(error.next("See `gk context list`."));
    }
    app.out.answer(&Answer::new("gk.context.v1", &json!({ "name": name }), ""))?;
    app.out.done(&format!("context {name} is the current one"));
    Ok(Exit::OK)
}

fn show(app: &App) -> Result<Exit, CliError> {
    let settings: Settings = app.settings()?;
    let address = settings.address.as_ref().map(|found| found.value.to_string());
    let name = settings.context.as_ref().map(|found| found.value.name().to_string());
    let origin = settings.address.as_ref().map(|found| found.origin.to_string());
    let token = settings.context.as_ref().map(|found| match found.value.token_store() {
        TokenStore::Keyring => "keyring",
        TokenStore::File => "file",
        TokenStore::None => "none",
    });
    let Some(address) = address else {
        return Err(CliError::new(ErrorCode::NotFound, "no context is chosen")
            .next("`gk dev` or `gk login --with-token` makes one."));
    };
    let body = json!({ "name": name, "address": address, "origin": origin, "token": token });
    let lines = [("context", name), ("address", Some(address)), ("from", origin), ("token", token.map(str::to_owned))];
    let known = lines.into_iter().filter_map(|(key, value)| value.map(|value| format!("{key:<8} {value}\n")));
    app.out.answer(&Answer::new("gk.context.v1", &body, known.collect::<String>()))?;
    Ok(Exit::OK)
}
