//! `gk audit`: read the log, and check that nobody has changed it.

mod export;
mod pages;
mod search;
mod show;
mod tail;
mod verify;
pub(crate) mod witness;

use gk_shared::audit::{AuditEvent, AuditRecord};

use crate::app::App;
use crate::error::{CliError, plain};
use crate::run::Exit;

pub(crate) use pages::read_all;

/// Read the audit log, and check that nobody has changed it
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Audit {
    Tail(tail::Args),
    Show(show::Args),
    Search(search::Args),
    Export(export::Args),
    Verify(verify::Args),
}

pub(crate) async fn run(app: &App, command: Audit) -> Result<Exit, CliError> {
    match command {
        Audit::Tail(args) => tail::run(app, args).await,
        Audit::Show(args) => show::run(app, &args).await,
        Audit::Search(args) => search::run(app, args).await,
        Audit::Export(args) => export::run(app, &args).await,
        Audit::Verify(args) => Box::pin(verify::run(app, &args)).await,
    }
}

/// One event a line, for people.
fn line(record: &AuditRecord) -> String {
    let Ok(event) = serde_json::from_str::<AuditEvent>(&record.event) else {
        return format!("{:>6}  {}\n", record.seq, plain(&record.event));
    };
    let outcome = event.outcome.as_str();
    let facts: Vec<String> = event.facts.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let text = format!(
        "{:>6}  {}  {}  {}  {}  {outcome}  {}",
        record.seq,
        event.at,
        event.actor,
        event.action.as_str(),
        event.object,
        facts.join(" "),
    );
    format!("{}\n", plain(text.trim_end()))
}

/// The same for programs: the record, with its event readable.
pub(crate) fn as_json(record: &AuditRecord) -> serde_json::Value {
    let event =
        serde_json::from_str::<serde_json::Value>(&record.event).unwrap_or_else(|_| record.event.clone().into());
    serde_json::json!({ "seq": record.seq, "prevHash": record.prev_hash, "hash": record.hash, "event": event })
}
