//! What runs beside the requests: the expiry scheduler, housekeeping, the sealer of the audit log, the
//! listener for wake-ups, the look whether the ledger went back.
//!
//! Always holds: each may run in any number of processes on one ledger, none keeps state that a restart loses, and a
//! ledger that is away makes them wait and try again, never stop.

mod expiry;
mod housekeeping;
mod notify;
mod recovery;
mod sealer;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::LedgerConfig;
use crate::notary::Notary;
use crate::store::Ledger;
use crate::wakeups::Wake;

/// The tasks of one process.
#[derive(Debug)]
pub struct Clocks {
    tasks: JoinSet<()>,
}

/// Starts all of them. `outbox` is what [`crate::wakeups::Wakeups::new`] gave.
#[must_use]
pub fn start(
    ledger: &Ledger,
    config: &LedgerConfig,
    notary: &Notary,
    outbox: mpsc::Receiver<Wake>,
    stop: &CancellationToken,
) -> Clocks {
    let mut tasks = JoinSet::new();
    tasks.spawn(expiry::run(ledger.clone(), stop.clone()));
    tasks.spawn(housekeeping::run(ledger.clone(), stop.clone()));
    tasks.spawn(sealer::run(ledger.clone(), notary.clone(), stop.clone()));
    tasks.spawn(recovery::run(ledger.clone(), notary.clone(), stop.clone()));
    tasks.spawn(notify::run(config.clone(), ledger.wakeups().clone(), outbox, stop.clone()));
    Clocks { tasks }
}

impl Clocks {
    /// Waits until all have stopped; the sealer links the last events before it does.
    pub async fn join(mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a clock did not end as it should");
            }
        }
    }
}

/// Sleeps, unless it is time to stop. True to go on.
async fn pause(stop: &CancellationToken, length: Duration) -> bool {
    stop.run_until_cancelled(tokio::time::sleep(length)).await.is_some()
}

/// Says once that something does not work, and once that it works again.
#[derive(Debug, Default)]
struct Trouble {
    since: Option<tokio::time::Instant>,
}

impl Trouble {
    fn note<T, E: std::error::Error>(&mut self, what: &'static str, answer: Result<T, E>) -> Option<T> {
        match (answer, self.since.take()) {
            (Ok(value), None) => Some(value),
            (Ok(value), Some(since)) => {
                tracing::info!(what, away = ?since.elapsed(), "the ledger is back");
                Some(value)
            }
            (Err(_), Some(since)) => {
                self.since = Some(since);
                None
            }
            (Err(error), None) => {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(what, %error, cause, "will be tried again");
                self.since = Some(tokio::time::Instant::now());
                None
            }
        }
    }
}
