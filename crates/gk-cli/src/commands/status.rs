//! `gk status`.

use gk_shared::wire::recovery::LedgerMode;
use gk_shared::wire::status::Status;

use super::session::view::moment;
use crate::app::App;
use crate::error::{CliError, plain};
use crate::output::Answer;
use crate::run::Exit;

/// The control plane at a glance
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(app: &App, _args: &Args) -> Result<Exit, CliError> {
    let client = app.client()?;
    let status = client.status().await?;
    app.out.answer(&Answer::new("gk.status.v1", &status, text(&status, &client.address().to_string())))?;
    Ok(Exit::OK)
}

fn text(status: &Status, address: &str) -> String {
    let observing = match status.mode {
        LedgerMode::Normal => "",
        LedgerMode::Observe => {
            "observing      the ledger went back: sessions end and none are made; see gk recover show\n"
        }
    };
    format!(
        "{observing}control plane  {} at {address}, {}\n\
         targets        {} of {} reachable\n\
         agents         {} of {} online\n\
         sessions       {} ready, {} being made, {} ending, {} quarantined\n\
         jobs           {} waiting\n\
         audit          {} events, {} not linked yet\n",
        plain(&status.version),
        moment(status.ledger_time),
        status.targets_reachable,
        status.targets_total,
        status.agents_online,
        status.agents_total,
        status.sessions_ready,
        status.sessions_provisioning,
        status.sessions_revoking,
        status.sessions_quarantined,
        status.jobs_queued,
        status.audit_size,
        status.audit_unsealed,
    )
}
