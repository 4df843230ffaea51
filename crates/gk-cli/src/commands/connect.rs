//! `gk connect`.

use std::ffi::OsString;

use gk_shared::names::{PackName, TargetName};
use gk_shared::problem::ErrorCode;
use gk_shared::ttl::Ttl;
use gk_shared::wire::catalog::TargetView;
use gk_shared::wire::session::CreateSession;

use super::exec::{as_exec, as_exec_unless_usage, refuse_nesting, run_on_fresh_session};
use crate::app::App;
use crate::arg::checked;
use crate::client::Client;
use crate::config::Settings;
use crate::error::CliError;
use crate::exec::Plan;
use crate::request::{Wanted, choice, given};
use crate::run::Exit;

/// Open psql on a fresh session, and end the session when psql ends
///
/// Without --role the only role that policy allows you there is taken; without --ttl an hour, or what policy allows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Target to get into
    #[arg(value_name = "TARGET", value_parser = checked::<TargetName>)]
    target: Option<TargetName>,
    #[command(flatten)]
    wanted: Wanted,
    /// Allow it inside another gk exec
    #[arg(long)]
    nested: bool,
    /// Arguments for psql
    #[arg(last = true, value_name = "PSQL_ARGUMENT")]
    psql: Vec<OsString>,
}

const USUAL_TTL: u32 = 3600;

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    refuse_nesting(app, args.nested)?;
    let settings = app.settings().map_err(as_exec)?;
    if app.env.which("psql").is_none() {
        return Err(CliError::new(ErrorCode::PsqlMissing, "psql was not found on PATH")
            .next("Install the PostgreSQL client (Debian, Ubuntu: apt install postgresql-client)."));
    }
    let target = match given(args.target, settings.target.as_ref()) {
        Some(target) => target,
        None => choice::target(app, &settings, "TARGET").await.map_err(as_exec_unless_usage)?,
    };
    let client = app.client_for(&settings).map_err(as_exec)?;
    let wanted = complete(app, &client, &settings, args.wanted, target).await?;
    let command = std::iter::once("psql".into()).chain(args.psql).collect();
    run_on_fresh_session(app, &client, wanted, &Plan { command, database_url: false }).await
}

/// Fills in role and time from what policy allows on the target.
async fn complete(
    app: &App,
    client: &Client,
    settings: &Settings,
    wanted: Wanted,
    target: TargetName,
) -> Result<CreateSession, CliError> {
    let role = given(wanted.role.clone(), settings.role.as_ref());
    let ttl = given(wanted.ttl, settings.ttl.as_ref());
    if let (Some(role), Some(ttl)) = (&role, ttl) {
        return Ok(wanted.with(target, role.clone(), ttl));
    }
    let seen = choice::look(client, &target).await.map_err(as_exec)?;
    let role = match role {
        Some(role) => role,
        None => one_role(app, &seen)?,
    };
    let most =
        seen.roles.iter().find(|allowed| allowed.role == role).map_or(USUAL_TTL, |allowed| allowed.max_ttl_seconds);
    let ttl = match ttl {
        Some(ttl) => ttl,
        None => Ttl::from_secs(most.min(USUAL_TTL)).map_err(|error| crate::arg::fault("--ttl: ", &error))?,
    };
    Ok(wanted.with(target, role, ttl))
}

/// The only role there is, else the one that whoever sits at the terminal chooses.
fn one_role(app: &App, seen: &TargetView) -> Result<PackName, CliError> {
    match seen.roles.as_slice() {
        [only] => Ok(only.role.clone()),
        [_, _, ..] if !app.may_ask() => {
            let names: Vec<_> = seen.roles.iter().map(|allowed| &allowed.role).collect();
            let why = format!("you may use: {}", choice::listed(&names));
            Err(CliError::usage("--role is missing").why(why).next("Pass --role."))
        }
        [] | [_, _, ..] => choice::role_of(app, seen).map_err(as_exec_unless_usage),
    }
}
