//! The expiry scheduler: ends what is over, on time.
//!
//! It sleeps until the next session's end, at most [`SCAN`]; the pass then looks at the ledger, not at what it slept
//! for. An agent that has not been asked by then would cut the session by itself.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause};
use crate::store::{Ledger, StoreError, scan};

/// The longest sleep between two passes.
const SCAN: Duration = Duration::from_millis(500);
/// The shortest: an end that lies a hair ahead does not make it spin.
const SHORTEST: Duration = Duration::from_millis(2);
/// Between two rounds of housekeeping.
const TIDY: Duration = Duration::from_secs(30);

pub(super) async fn run(ledger: Ledger, stop: CancellationToken) {
    let (mut passes, mut rounds, mut late) = (Trouble::default(), Trouble::default(), Trouble::default());
    let mut tidied: Option<Instant> = None;
    loop {
        let sleep = passes.note("expiry", pass(&ledger).await).unwrap_or(SCAN);
        late.note("late audit events", scan::log_late(&ledger).await);
        if tidied.is_none_or(|last| last.elapsed() >= TIDY) {
            rounds.note("housekeeping", scan::tidy(&ledger).await);
            tidied = Some(Instant::now());
        }
        if !pause(&stop, sleep).await {
            return;
        }
    }
}

/// One pass; says how long to sleep after it.
async fn pass(ledger: &Ledger) -> Result<Duration, StoreError> {
    let done = scan::run(ledger).await?;
    if done != scan::Scanned::default() {
        tracing::debug!(expired = done.expired, timed_out = done.timed_out, requeued = done.requeued, "scan");
    }
    if done.more {
        return Ok(SHORTEST);
    }
    Ok(scan::next_end(ledger).await?.unwrap_or(SCAN).clamp(SHORTEST, SCAN))
}
