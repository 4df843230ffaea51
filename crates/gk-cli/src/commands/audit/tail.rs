//! `gk audit tail`.

use std::time::Duration;

use gk_shared::audit::AuditRecord;
use gk_shared::exit::ExitCode;
use gk_shared::ids::SessionId;

use crate::app::App;
use crate::arg::checked_id;
use crate::client::AuditQuery;
use crate::error::CliError;
use crate::output::with_schema;
use crate::run::Exit;

/// Show the last events, and with --follow those that come
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many of the last events to show
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000))]
    lines: u32,
    /// Go on and show events as they come
    #[arg(long, short)]
    follow: bool,
    /// Only events of this session
    #[arg(long, value_name = "SESSION", value_parser = checked_id::<SessionId>)]
    session: Option<SessionId>,
    /// Only events of this actor
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only this action, such as session.created
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
}

const WAIT: Duration = Duration::from_secs(10);

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    let client = app.client()?;
    let filter = AuditQuery {
        session: args.session.map(|id| id.to_string()),
        actor: args.actor,
        action: args.action,
        ..AuditQuery::default()
    };
    let filtered = filter.session.is_some() || filter.actor.is_some() || filter.action.is_some();
    // Places count all events, so only without a filter is it known where the last ones begin.
    let after = if filtered { 0 } else { (client.checkpoint().await?.size - i64::from(args.lines)).max(0) };
    let mut last = Vec::new();
    let mut at = after;
    super::pages::read_all(&client, AuditQuery { after, ..filter.clone() }, |record| {
        at = record.seq;
        last.push(record.clone());
        Ok(())
    })
    .await?;
    let shown = last.len().saturating_sub(usize::try_from(args.lines).unwrap_or(usize::MAX));
    last[shown..].iter().try_for_each(|record| show(app, record))?;
    if !args.follow {
        return Ok(Exit::OK);
    }
    loop {
        let asked = AuditQuery { after: at, limit: 200, wait: WAIT, ..filter.clone() };
        let page = tokio::select! {
            page = client.audit_events(&asked) => page?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Code(ExitCode::Interrupted)),
        };
        page.events.iter().try_for_each(|record| show(app, record))?;
        at = page.next_after.max(at);
    }
}

fn show(app: &App, record: &AuditRecord) -> Result<(), CliError> {
    let line = if app.out.json() {
        format!("{}\n", with_schema("gk.audit_event.v1", &super::as_json(record)))
    } else {
        super::line(record)
    };
    app.out.raw(line.as_bytes())
}
