//! `gk audit show`.

use gk_shared::ids::{EventId, SessionId};
use gk_shared::problem::ErrorCode;
use serde_json::json;

use crate::app::App;
use crate::client::AuditQuery;
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;

/// Show all events of a session, or one event
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A session's id, an event's id, or a place in the log
    #[arg(value_name = "SESSION|EVENT|SEQ", value_parser = which)]
    what: Which,
}

/// What to show.
#[derive(Debug, Clone)]
enum Which {
    Session(SessionId),
    Event(EventId),
    Seq(i64),
}

fn which(text: &str) -> Result<Which, crate::arg::Fault> {
    if let Ok(seq) = text.parse::<i64>()
        && seq > 0
    {
        return Ok(Which::Seq(seq));
    }
    if text.starts_with("evt_") {
        return crate::arg::checked_id(text).map(Which::Event);
    }
    crate::arg::checked_id(text).map(Which::Session)
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let client = app.client()?;
    let asked = match &args.what {
        Which::Session(id) => AuditQuery { session: Some(id.to_string()), ..AuditQuery::default() },
        Which::Event(_) => AuditQuery::default(),
        Which::Seq(seq) => AuditQuery { after: seq - 1, ..AuditQuery::default() },
    };
    let mut found = Vec::new();
    super::pages::read_all(&client, asked, |record| {
        let wanted = match &args.what {
            Which::Session(_) => true,
            Which::Event(id) => super::as_json(record)["event"]["id"] == id.to_string(),
            Which::Seq(seq) => record.seq == *seq,
        };
        if wanted {
            found.push(record.clone());
        }
        Ok(())
    })
    .await?;
    if found.is_empty() {
        return Err(CliError::new(ErrorCode::NotFound, "there is no such event, or it is not linked yet"));
    }
    let text: String = found.iter().map(super::line).collect();
    let events: Vec<_> = found.iter().map(super::as_json).collect();
    app.out.answer(&Answer::new("gk.audit_events.v1", &json!({ "events": events }), text))?;
    Ok(Exit::OK)
}
