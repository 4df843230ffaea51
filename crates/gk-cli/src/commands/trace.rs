//! `gk trace`: what came of one request or one session, from the log, in one place.

use std::collections::BTreeMap;

use gk_shared::audit::{AuditEvent, AuditRecord};
use gk_shared::ids::{RequestId, SessionId};
use gk_shared::problem::ErrorCode;
use gk_shared::wire::session::SessionView;
use jiff::Timestamp;
use serde_json::json;

use super::audit::{as_json, read_all};
use super::session::view;
use crate::app::App;
use crate::arg::checked_id;
use crate::client::{AuditQuery, Client};
use crate::error::{CliError, plain};
use crate::output::Answer;
use crate::run::Exit;

/// Show all that came of a request or a session, step by step with its time (for auditors)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A request's id, as every answer and every error shows it, or a session's
    #[arg(value_name = "REQUEST_OR_SESSION", value_parser = what)]
    what: What,
}

/// What to trace.
#[derive(Debug, Clone, Copy)]
enum What {
    Request(RequestId),
    Session(SessionId),
}

fn what(text: &str) -> Result<What, crate::arg::Fault> {
    if text.starts_with("req_") { checked_id(text).map(What::Request) } else { checked_id(text).map(What::Session) }
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let client = app.client()?;
    // By place, so that what two questions find stands there once.
    let mut found = BTreeMap::new();
    let asked = match args.what {
        What::Request(id) => AuditQuery { request: Some(id.to_string()), ..AuditQuery::default() },
        What::Session(id) => AuditQuery { session: Some(id.to_string()), ..AuditQuery::default() },
    };
    collect(&client, asked, &mut found).await?;
    let ids = sessions_of(args.what, &found);
    let mut sessions = Vec::new();
    for id in ids {
        collect(&client, AuditQuery { session: Some(id.to_string()), ..AuditQuery::default() }, &mut found).await?;
        match client.session(id).await.map_err(CliError::from) {
            Ok(seen) => sessions.push(seen),
            // A ledger that was restored knows less than its log.
            Err(error) if error.code() == Some(ErrorCode::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    if found.is_empty() && sessions.is_empty() {
        return Err(nothing(args.what));
    }
    let views: Vec<_> = sessions.iter().map(|seen| view::as_json(seen, None)).collect();
    let events: Vec<_> = found.values().map(as_json).collect();
    let text = lines(&sessions, &found);
    app.out.answer(&Answer::new("gk.trace.v1", &json!({ "sessions": views, "events": events }), text))?;
    Ok(Exit::OK)
}

async fn collect(client: &Client, asked: AuditQuery, found: &mut BTreeMap<i64, AuditRecord>) -> Result<(), CliError> {
    read_all(client, asked, |record| {
        found.insert(record.seq, record.clone());
        Ok(())
    })
    .await
}

/// The sessions that it is about, each once.
fn sessions_of(what: What, found: &BTreeMap<i64, AuditRecord>) -> Vec<SessionId> {
    match what {
        What::Session(id) => vec![id],
        What::Request(_) => {
            let objects = found.values().filter_map(event).map(|event| event.object);
            let mut ids: Vec<SessionId> = objects.filter_map(|object| object.parse().ok()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        }
    }
}

fn nothing(what: What) -> CliError {
    match what {
        What::Request(id) => CliError::new(ErrorCode::NotFound, format!("the log has nothing of request {id}"))
            .why("a request that only reads, or that was refused at the door, leaves no event; the control plane's own log has a line of each"),
        What::Session(id) => CliError::new(ErrorCode::NotFound, format!("there is no session {id}")),
    }
}

fn event(record: &AuditRecord) -> Option<AuditEvent> {
    serde_json::from_str(&record.event).ok()
}

fn lines(sessions: &[SessionView], found: &BTreeMap<i64, AuditRecord>) -> String {
    let mut text = String::new();
    for seen in sessions {
        let line =
            format!("{}  {}  {} on {} for {}", seen.session_id, seen.status, seen.role, seen.target, seen.requester);
        text += &format!("{}\n", plain(&line));
    }
    let begin = found.values().filter_map(event).find_map(|event| event.at.parse::<Timestamp>().ok());
    found.values().for_each(|record| text += &line(record, begin));
    text
}

/// One step: how long after the first, by whom, why.
fn line(record: &AuditRecord, begin: Option<Timestamp>) -> String {
    let Some(event) = event(record) else { return format!("{:>6}  {}\n", record.seq, plain(&record.event)) };
    let after = event.at.parse::<Timestamp>().ok().zip(begin).map(|(at, begin)| at.duration_since(begin));
    let after = after.map_or_else(String::new, |after| format!("{:+.3}s", after.as_secs_f64()));
    let facts: Vec<String> = event.facts.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let (action, outcome) = (event.action.as_str(), event.outcome.as_str());
    let text = format!(
        "{:>6}  {}  {after:>11}  {action}  {}  {outcome}  {}  {}",
        record.seq,
        event.at,
        event.actor,
        event.request,
        facts.join(" ")
    );
    format!("{}\n", plain(text.trim_end()))
}
