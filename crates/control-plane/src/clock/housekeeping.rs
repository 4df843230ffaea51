//! Housekeeping: late events into the log, overtaken jobs, old jobs and old keys.
//!
//! Apart from the expiry scheduler, which must never wait behind it.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause};
use crate::store::{Ledger, scan};

/// Between two looks for events that could not be written with their ends.
const LATE: Duration = Duration::from_millis(500);
/// Between two rounds of tidying up.
const TIDY: Duration = Duration::from_secs(30);

pub(super) async fn run(ledger: Ledger, stop: CancellationToken) {
    let (mut rounds, mut late) = (Trouble::default(), Trouble::default());
    let mut tidied: Option<Instant> = None;
    loop {
        late.note("late audit events", scan::log_late(&ledger).await);
        if tidied.is_none_or(|last| last.elapsed() >= TIDY) {
            rounds.note("housekeeping", scan::tidy(&ledger).await);
            tidied = Some(Instant::now());
        }
        if !pause(&stop, LATE).await {
            return;
        }
    }
}
