//! `gk session extend`.

use std::time::Duration;

use gk_shared::ids::SessionId;
use gk_shared::problem::ErrorCode;
use gk_shared::reason::Reason;
use gk_shared::ttl::Ttl;
use gk_shared::wire::session::{ExtendSession, SessionView};

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

/// How long the control plane may wait for the target to confirm.
const WAIT: Duration = Duration::from_secs(10);

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    let ttl = match args.ttl {
        Some(ttl) => ttl,
        None => app
            .ask("--ttl", "How much longer (such as 15m)")?
            .parse()
            .map_err(|error| crate::arg::fault("--ttl: ", &error))?,
    };
    let asked = ExtendSession { ttl_seconds: ttl.as_secs(), reason: args.reason.map(|reason| reason.to_string()) };
    let client = app.client()?;
    let before = client.session(args.session).await?.expires_at;
    let progress = app.out.progress(&format!("extending {}", args.session));
    let seen = client.extend_session(args.session, &asked, WAIT).await?;
    drop(progress);
    if seen.expires_at <= before {
        return Err(still_ends(&seen));
    }
    let text = seen.expires_at.map(view::moment).unwrap_or_default();
    app.out.answer(&Answer::new("gk.session.v1", &view::as_json(&seen, None), text))?;
    app.out.done(&format!("{} expires {}", seen.session_id, view::until(&seen)));
    Ok(Exit::OK)
}

/// The target has not confirmed the new end: nobody may count on it yet.
fn still_ends(seen: &SessionView) -> CliError {
    let id = seen.session_id;
    CliError::new(ErrorCode::WaitTimeout, format!("asked; still ends {}", view::until(seen)))
        .why("the target has not confirmed the new end within 10 s")
        .next(format!("See `gk session show {id}`."))
        .request(Some(seen.correlation_id.clone()))
}
