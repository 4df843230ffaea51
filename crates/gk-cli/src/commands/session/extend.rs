//! `gk session extend`.

use gk_shared::ids::SessionId;
use gk_shared::reason::Reason;
use gk_shared::ttl::Ttl;
use gk_shared::wire::session::ExtendSession;

use super::view;
use crate::app::App;
use crate::arg::{checked, checked_id};
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;

/// Move the end of a session to now and this much more, within policy
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Session, as `gk session list` prints it
    #[arg(value_name = "SESSION", value_parser = checked_id::<SessionId>)]
    session: SessionId,
    /// How much longer from now, such as 15m
    #[arg(long, value_name = "TTL", value_parser = checked::<Ttl>)]
    ttl: Option<Ttl>,
    /// What for; kept in the audit log
    #[arg(long, value_name = "TEXT", value_parser = checked::<Reason>)]
    reason: Option<Reason>,
}

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    let ttl = match args.ttl {
        Some(ttl) => ttl,
        None => app
            .ask("--ttl", "How much longer (such as 15m)")?
            .parse()
            .map_err(|error| crate::arg::fault("--ttl: ", &error))?,
    };
    let asked = ExtendSession { ttl_seconds: ttl.as_secs(), reason: args.reason.map(|reason| reason.to_string()) };
    let seen = app.client()?.extend_session(args.session, &asked).await?;
    let text = seen.expires_at.map(view::moment).unwrap_or_default();
    app.out.answer(&Answer::new("gk.session.v1", &view::as_json(&seen, None), text))?;
    app.out.done(&format!("{} expires {}", seen.session_id, view::until(&seen)));
    Ok(Exit::OK)
}
