//! `gk doctor`: what stands between this machine and a session.

use gk_shared::exit::ExitCode;
use gk_shared::wire::catalog::TargetView;
use gk_shared::wire::recovery::LedgerMode;
use gk_shared::wire::status::SinkStatus;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::client::Client;
use crate::convert::VERSION;
use crate::error::{CliError, plain};
use crate::output::{Answer, table};
use crate::run::Exit;

/// Check settings, token, control plane, clocks and targets: exit 0, or 10 with what to mend
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    state: State,
    detail: String,
}

impl Check {
    fn new(name: impl Into<String>, state: State, detail: impl Into<String>) -> Self {
        Self { name: name.into(), state, detail: detail.into() }
    }

    fn of<T>(name: &str, outcome: &Result<T, CliError>, good: impl FnOnce(&T) -> String) -> Self {
        match outcome {
            Ok(value) => Self::new(name, State::Ok, good(value)),
            Err(error) => Self::new(name, State::Failed, error.to_string()),
        }
    }
}

/// A clock further off than this shows in the times that people read.
const MOST_SKEW_MS: i64 = 2000;
/// The longest that a control plane waits between two tries at a sink, and a little.
const SINK_PATIENCE: SignedDuration = SignedDuration::from_secs(90);

pub(crate) async fn run(app: &App, _args: &Args) -> Result<Exit, CliError> {
    let mut checks = Vec::new();
    let psql = app.env.which("psql");
    checks.push(match &psql {
        Some(path) => Check::new("psql", State::Ok, path.display().to_string()),
        None => Check::new("psql", State::Warning, "not on PATH: gk connect needs it"),
    });
    let settings = app.settings();
    checks.push(Check::of("settings", &settings, |found| match &found.address {
        Some(address) => format!("{} ({})", address.value, address.origin),
        None => "no control plane is set".to_owned(),
    }));
    if let Ok(settings) = settings {
        let client = app.client_for(&settings);
        checks.push(Check::of("token", &client, |_| {
            app.token(&settings).map(|found| format!("from {}", found.source)).unwrap_or_default()
        }));
        if let Ok(client) = client {
            online(app, &client, &mut checks).await;
        }
    }
    let failed = checks.iter().any(|check| check.state == State::Failed);
    let rows = checks.iter().map(|check| [word(check.state).to_owned(), check.name.clone(), plain(&check.detail)]);
    let text = table(["STATE", "CHECK", "DETAIL"], rows);
    app.out.answer(&Answer::new("gk.doctor.v1", &json!({ "ok": !failed, "checks": checks }), text))?;
    Ok(if failed { Exit::Code(ExitCode::Finding) } else { Exit::OK })
}

fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Failed => "failed",
    }
}

async fn online(app: &App, client: &Client, checks: &mut Vec<Check>) {
    let me = client.me().await.map_err(|error| app.with_token_source(CliError::from(error)));
    checks.push(Check::of("control plane", &me, |me| format!("{}, you are {}", me.version, me.actor)));
    let Ok(me) = me else { return };
    let same = me.version == VERSION;
    let state = if same { State::Ok } else { State::Warning };
    checks.push(Check::new("versions", state, format!("gk {VERSION}, control plane {}", me.version)));
    let skew = crate::machine::now().as_millisecond() - me.ledger_time.as_millisecond();
    let state = if skew.abs() > MOST_SKEW_MS { State::Warning } else { State::Ok };
    checks.push(Check::new("clock", state, format!("this machine's minus the ledger's: {skew} ms")));
    if let Ok(status) = client.status().await {
        checks.push(match status.mode {
            LedgerMode::Normal => Check::new("ledger", State::Ok, "nothing outside is ahead of it"),
            LedgerMode::Observe => {
                Check::new("ledger", State::Failed, "it went back, and nothing is granted: see gk recover show")
            }
        });
        checks.extend(status.audit_sinks.iter().map(|one| sink(one, status.ledger_time)));
    }
    match client.targets().await.map_err(CliError::from) {
        Ok(list) if list.targets.is_empty() => {
            checks.push(Check::new(
                "targets",
                State::Warning,
                "none that you may use: an admin can add a rule to the policy",
            ));
        }
        Ok(list) => checks.extend(list.targets.iter().map(target)),
        Err(error) => checks.push(Check::new("targets", State::Failed, error.to_string())),
    }
}

fn sink(seen: &SinkStatus, now: Timestamp) -> Check {
    let name = format!("audit sink {}", seen.name);
    let late = seen.delivered_at.is_none_or(|at| now.duration_since(at) > SINK_PATIENCE);
    if seen.waiting == 0 || !late {
        return Check::new(name, State::Ok, format!("{} events and checkpoints on their way", seen.waiting));
    }
    let last = seen.delivered_at.map_or("it never got any".to_owned(), |at| format!("the last came {at:.0}"));
    let see = "the control plane's log says why: audit_sink_failing in the runbook";
    Check::new(name, State::Warning, format!("{} events and checkpoints wait, {last}; {see}", seen.waiting))
}

fn target(seen: &TargetView) -> Check {
    let name = format!("target {}", seen.name);
    if !seen.reachable {
        let why = seen.error.as_deref().unwrap_or("no agent that is online has reached it; see gk agent list");
        return Check::new(name, State::Failed, why);
    }
    if let Some(down) = seen.endpoints.iter().find(|one| one.error.is_some()) {
        let text = format!("{}:{} does not answer: no end is proven meanwhile", down.host, down.port);
        return Check::new(name, State::Warning, text);
    }
    let server = seen.server_version.as_deref().unwrap_or("unknown");
    match seen.clock_skew_ms {
        Some(skew) if skew.abs() > MOST_SKEW_MS => {
            Check::new(name, State::Warning, format!("its clock is {skew} ms off the ledger's"))
        }
        Some(_) | None => Check::new(name, State::Ok, format!("Postgres {server}, {} roles for you", seen.roles.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_late_when_something_has_waited_for_longer_than_between_two_tries() {
        let now = Timestamp::from_second(1_700_000_000).expect("in range");
        let seen = |waiting, ago: Option<i64>| {
            let delivered_at = ago.map(|ago| now - SignedDuration::from_secs(ago));
            sink(&SinkStatus { name: "siem".to_owned(), waiting, delivered_at }, now).state
        };
        assert_eq!(seen(0, Some(86_400)), State::Ok, "it has all there is");
        assert_eq!(seen(0, None), State::Ok, "there is nothing to have");
        assert_eq!(seen(7, Some(5)), State::Ok);
        assert_eq!(seen(7, Some(91)), State::Warning);
        assert_eq!(seen(7, None), State::Warning);
    }
}
