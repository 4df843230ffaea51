//! `gk auth`.

use serde_json::json;

use super::session::view::moment;
use crate::app::App;
use crate::error::CliError;
use crate::output::{Answer, with_schema};
use crate::run::Exit;

/// Who I am to the control plane
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Auth {
    Status(Status),
}

/// Show which token is used, where it was found, whose it is and until when it works
#[derive(Debug, clap::Args)]
pub(crate) struct Status {}

pub(crate) async fn run(app: &App, command: &Auth) -> Result<Exit, CliError> {
    let Auth::Status(Status {}) = command;
    let settings = app.settings()?;
    let client = app.client_for(&settings)?;
    let source = app.token(&settings)?.source;
    let me = client.me().await?;
    let scopes: Vec<&str> = me.scopes.iter().map(|scope| scope.as_str()).collect();
    let groups: Vec<&str> = me.groups.iter().map(AsRef::as_ref).collect();
    let mut body = with_schema("gk.auth.v1", &me);
    body["address"] = json!(client.address().to_string());
    body["tokenSource"] = json!(source.word());
    body["expiresInSeconds"] = json!(me.expires_at.as_second() - me.ledger_time.as_second());
    let text = format!(
        "actor    {}\ngroups   {}\nscopes   {}\naddress  {}\ntoken    {} from {source}\nexpires  {}\n",
        me.actor,
        groups.join(", "),
        scopes.join(", "),
        client.address(),
        me.token_id,
        moment(me.expires_at),
    );
    app.out.answer(&Answer::new("gk.auth.v1", &body, text))?;
    Ok(Exit::OK)
}
