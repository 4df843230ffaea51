//! What a session is wanted for: from flags, else settings, else a question, else an error that names the flag.

use gk_shared::names::{PackName, TargetName};
use gk_shared::reason::{Reason, TicketRef};
use gk_shared::ttl::Ttl;
use gk_shared::wire::session::CreateSession;

use crate::app::App;
use crate::arg::{Coded, checked};
use crate::config::{Setting, Settings};
use crate::error::CliError;

/// Flags of commands that ask for a session.
#[derive(Debug, clap::Args)]
pub(crate) struct WantedFlags {
    /// Target to get into
    #[arg(long, short, value_name = "TARGET", value_parser = checked::<TargetName>)]
    pub(crate) target: Option<TargetName>,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
}

/// Flags of commands that ask for a session on a target named elsewhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Wanted {
    /// Role pack to get there, such as app_read
    #[arg(long, short, value_name = "ROLE", value_parser = checked::<PackName>)]
    pub(crate) role: Option<PackName>,
    /// How long, such as 90s, 15m or 1h30m
    #[arg(long, value_name = "TTL", value_parser = checked::<Ttl>)]
    pub(crate) ttl: Option<Ttl>,
    /// What for; kept in the audit log
    #[arg(long, value_name = "TEXT", value_parser = checked::<Reason>)]
    pub(crate) reason: Option<Reason>,
    /// Ticket that the work belongs to
    #[arg(long, value_name = "TICKET", value_parser = checked::<TicketRef>)]
    pub(crate) ticket: Option<TicketRef>,
    /// Connections at once, at most what the role allows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_connections: Option<u16>,
}

impl WantedFlags {
    /// The request, with what is missing taken from settings or asked for.
    pub(crate) fn complete(self, app: &App, settings: &Settings) -> Result<CreateSession, CliError> {
        let target = or_ask(app, self.target, settings.target.as_ref(), ("--target", "Target"))?;
        self.wanted.complete(app, settings, target)
    }
}

impl Wanted {
    /// The request on this target.
    pub(crate) fn complete(
        self,
        app: &App,
        settings: &Settings,
        target: TargetName,
    ) -> Result<CreateSession, CliError> {
        let role = or_ask(app, self.role.clone(), settings.role.as_ref(), ("--role", "Role"))?;
        let ttl = or_ask(app, self.ttl, settings.ttl.as_ref(), ("--ttl", "For how long (such as 15m)"))?;
        Ok(self.with(target, role, ttl))
    }

    /// The request, when all is known.
    pub(crate) fn with(self, target: TargetName, role: PackName, ttl: Ttl) -> CreateSession {
        CreateSession {
            target,
            role,
            ttl_seconds: Some(ttl.as_secs()),
            ttl_minutes: None,
            reason: self.reason.map(|reason| reason.to_string()),
            ticket: self.ticket.map(|ticket| ticket.to_string()),
            max_connections: self.max_connections,
            recipient_public_key: None,
        }
    }
}

fn or_ask<T: std::str::FromStr + Clone>(
    app: &App,
    flag: Option<T>,
    setting: Option<&Setting<T>>,
    (name, question): (&str, &str),
) -> Result<T, CliError>
where
    T::Err: Coded,
{
    if let Some(value) = flag.or_else(|| setting.map(|found| found.value.clone())) {
        return Ok(value);
    }
    let text = app.ask(name, question)?;
    text.parse().map_err(|error| crate::arg::fault(&format!("{name}: "), &error))
}
