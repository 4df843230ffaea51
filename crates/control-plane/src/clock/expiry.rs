//! The expiry scheduler: ends what is over, on time.
//!
//! It sleeps until the next session's end, at most [`SCAN`]; the pass then looks at the ledger, not at what it slept
//! for. An agent that has not been asked by then would cut the session by itself.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause};
use crate::store::{Ledger, StoreError, scan};

/// The longest sleep between two passes.
const SCAN: Duration = Duration::from_millis(500);
/// The shortest: an end that lies a hair ahead does not make it spin.
const SHORTEST: Duration = Duration::from_millis(2);

pub(super) async fn run(ledger: Ledger, stop: CancellationToken) {
    let mut passes = Trouble::default();
    loop {
        let sleep = passes.note("expiry", pass(&ledger).await).unwrap_or(SCAN);
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
