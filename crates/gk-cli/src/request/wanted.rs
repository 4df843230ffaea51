//! What a session is wanted for: from flags, else settings, else a question, else an error that names the flag.

use gk_shared::names::{PackName, TargetName};
use gk_shared::reason::{Reason, TicketRef};
use gk_shared::ttl::Ttl;
use gk_shared::wire::session::CreateSession;

use super::choice;
use crate::app::App;
use crate::arg::checked;
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
    pub(crate) async fn complete(self, app: &App, settings: &Settings) -> Result<CreateSession, CliError> {
        let target = match given(self.target, settings.target.as_ref()) {
            Some(target) => target,
            None => choice::target(app, settings, "--target").await?,
        };
        self.wanted.complete(app, settings, target).await
    }
}

impl Wanted {
    /// The request on this target.
    async fn complete(self, app: &App, settings: &Settings, target: TargetName) -> Result<CreateSession, CliError> {
        let role = match given(self.role.clone(), settings.role.as_ref()) {
            Some(role) => role,
            None => choice::role(app, settings, &target).await?,
        };
        let ttl = match given(self.ttl, settings.ttl.as_ref()) {
            Some(ttl) => ttl,
            None => asked_ttl(app)?,
        };
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

/// The flag's value, else the setting's.
pub(crate) fn given<T: Clone>(flag: Option<T>, setting: Option<&Setting<T>>) -> Option<T> {
    flag.or_else(|| setting.map(|found| found.value.clone()))
}

fn asked_ttl(app: &App) -> Result<Ttl, CliError> {
    if !app.may_ask() {
        return Err(CliError::usage("--ttl is missing").next("Pass --ttl, such as --ttl 15m."));
    }
    let text = app.ask("--ttl", "For how long (such as 15m)")?;
    text.parse().map_err(|error| crate::arg::fault("--ttl: ", &error))
}
