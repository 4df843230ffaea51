//! `gk recover`: a ledger that was restored from an older copy, and taking it as it is.

use gk_shared::exit::ExitCode;
use gk_shared::wire::recovery::{AcceptRecovery, LedgerMode, Recovery};

use super::session::view::moment;
use crate::app::App;
use crate::error::{CliError, plain};
use crate::output::Answer;
use crate::run::Exit;

/// A ledger that is older than what was seen outside of it
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Recover {
    Show(Show),
    Accept(Accept),
}

/// Show what is ahead of the ledger, and the sessions that it does not know: exit 0, or 10 if nothing is granted
#[derive(Debug, clap::Args)]
pub(crate) struct Show {}

/// Take the ledger as it is: sessions are made again
#[derive(Debug, clap::Args)]
pub(crate) struct Accept {
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// End the sessions that the ledger does not know, instead of leaving them until their own end
    #[arg(long)]
    strict: bool,
}

pub(crate) async fn run(app: &App, command: Recover) -> Result<Exit, CliError> {
    match command {
        Recover::Show(Show {}) => {
            let seen = app.client()?.recovery().await?;
            app.out.answer(&Answer::new("gk.recovery.v1", &seen, lines(&seen)))?;
            Ok(match seen.mode {
                LedgerMode::Normal => Exit::OK,
                LedgerMode::Observe => Exit::Code(ExitCode::Finding),
            })
        }
        Recover::Accept(args) => {
            let asked = AcceptRecovery { reason: args.reason, end_unknown: args.strict };
            let done = app.client()?.accept_recovery(&asked).await?;
            let text =
                format!("{} finding(s) accepted, {} unknown session(s) being ended\n", done.findings, done.ending);
            app.out.answer(&Answer::new("gk.recovery_accepted.v1", &done, text))?;
            Ok(Exit::OK)
        }
    }
}

fn lines(seen: &Recovery) -> String {
    let mut text = match seen.mode {
        LedgerMode::Normal => "nothing is ahead of the ledger: sessions are made\n".to_owned(),
        LedgerMode::Observe => "observing: sessions end and none are made\n".to_owned(),
    };
    for finding in &seen.findings {
        text += &format!("since {}  {}: {}\n", moment(finding.found_at), plain(&finding.cause), plain(&finding.detail));
    }
    for one in &seen.unknown {
        let end =
            one.valid_until.map_or_else(|| "no end of its own".to_owned(), |end| format!("until {}", moment(end)));
        let login = if one.armed { "can log in" } else { "cannot log in" };
        let ending = if one.ending { ", being ended" } else { "" };
        text += &format!(
            "{}  {}  unknown to the ledger, {login}, {} connected, {end}{ending}\n",
            one.target, one.role_name, one.backends
        );
    }
    if seen.mode == LedgerMode::Observe {
        text +=
            "next: gk recover accept --reason \"...\" leaves each of these until its own end; --strict ends them now\n";
    }
    text
}
