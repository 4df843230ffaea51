//! The commands, one a file.

mod admin_token;
mod agent_ca;
mod audit_key;
mod check;
mod healthcheck;
mod run;

use std::io::Write as _;

use gk_control_plane::config::LedgerConfig;

pub(crate) use admin_token::AdminToken;
pub(crate) use agent_ca::AgentCa;
pub(crate) use audit_key::AuditKey;
pub(crate) use check::check;
pub(crate) use healthcheck::healthcheck;
pub(crate) use run::run;

use crate::failure::Failure;

/// Writes a line to stdout.
fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| Failure::system("cannot write output", &error))
}

/// `migrate`
pub(crate) async fn migrate(ledger: &LedgerConfig) -> Result<(), Failure> {
    let migrated = gk_control_plane::migrate(ledger).await?;
    for name in &migrated.run {
        say(name)?;
    }
    let done = if migrated.run.is_empty() { "nothing to do" } else { "done" };
    say(&format!("{done}: the ledger {} has schema version {}", ledger.shown(), migrated.version))
}

/// `openapi`
pub(crate) fn openapi() -> Result<(), Failure> {
    let document = gk_control_plane::http::openapi::document();
    let text =
        document.to_pretty_json().map_err(|error| Failure::system("cannot write the document", &error.into()))?;
    say(&text)
}
