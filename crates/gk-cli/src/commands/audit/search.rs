//! `gk audit search`.

use std::collections::VecDeque;
use std::str::FromStr;

use gk_shared::audit::AuditRecord;
use gk_shared::ids::{RequestId, SessionId};
use jiff::Timestamp;
use serde_json::json;

use crate::app::App;
use crate::arg::checked_id;
use crate::client::AuditQuery;
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;
use crate::span::Span;

/// Find events by who, what, when, or words in them
///
/// The newest are shown, in the order of the log. What was searched has gaps: `gk audit verify` checks the whole.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Words that stand in the event, in upper or lower case
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Only events of this session
    #[arg(long, value_name = "SESSION", value_parser = checked_id::<SessionId>, conflicts_with = "object")]
    session: Option<SessionId>,
    /// Only events about this: an id, or a target's name
    #[arg(long, value_name = "OBJECT")]
    object: Option<String>,
    /// Only events of this actor
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only this action, such as session.created
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only events that ended so: ok, denied or failed
    #[arg(long, value_name = "OUTCOME", value_parser = ["ok", "denied", "failed"])]
    outcome: Option<String>,
    /// Only what happened because of this request
    #[arg(long, value_name = "REQUEST", value_parser = checked_id::<RequestId>)]
    request: Option<RequestId>,
    /// Only since then: so long ago, such as 2h, or a time such as 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Point>)]
    since: Option<Point>,
    /// Only before then, written the same
    #[arg(long, value_name = "TIME", value_parser = str::parse::<Point>)]
    until: Option<Point>,
    /// How many to show at the most
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

/// A point in time, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Ago(Span),
    At(Timestamp),
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ago = text.parse::<Span>().map(Self::Ago);
        let wrong = || format!("`{text}` is neither so long ago (90s, 2h, 7d) nor a time (2026-11-22T10:00:00Z)");
        ago.or_else(|_| text.parse().map(Self::At)).map_err(|_| wrong())
    }
}

impl Point {
    fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            // Longer ago than there is time is since ever.
            Self::Ago(span) => now.checked_sub(span.as_duration()).unwrap_or(Timestamp::MIN),
        }
    }
}

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    let now = crate::machine::now();
    let time = |point: Option<Point>| point.map(|point| point.before(now).to_string());
    let asked = AuditQuery {
        session: args.session.map(|id| id.to_string()),
        object: args.object,
        actor: args.actor,
        action: args.action,
        outcome: args.outcome,
        request: args.request.map(|id| id.to_string()),
        since: time(args.since),
        until: time(args.until),
        text: args.text,
        ..AuditQuery::default()
    };
    let most = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let (mut found, mut passed) = (VecDeque::<AuditRecord>::new(), 0_u64);
    super::pages::read_all(&app.client()?, asked, |record| {
        found.push_back(record.clone());
        if found.len() > most {
            found.pop_front();
            passed += 1;
        }
        Ok(())
    })
    .await?;
    let text: String = found.iter().map(super::line).collect();
    let events: Vec<_> = found.iter().map(super::as_json).collect();
    app.out.answer(&Answer::new("gk.audit_events.v1", &json!({ "events": events }), text))?;
    if passed > 0 {
        app.out.note(&format!("{passed} earlier ones are not shown; --limit COUNT shows more"));
    } else if found.is_empty() {
        app.out.note("no such events");
    }
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_is_so_long_ago_or_a_time() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("is a time");
        let before = |text: &str| text.parse::<Point>().map(|point| point.before(now).to_string());
        assert_eq!(before("2h").as_deref(), Ok("2026-11-22T10:00:00Z"));
        assert_eq!(before("2026-11-22T09:00:00+01:00").as_deref(), Ok("2026-11-22T08:00:00Z"));
        for wrong in ["", "yesterday", "2", "-2h", "2026-11-22"] {
            assert!(before(wrong).unwrap_err().contains("neither"), "{wrong}");
        }
    }
}
