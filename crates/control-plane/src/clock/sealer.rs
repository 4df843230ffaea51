//! The sealer's clock: links what was committed, every 200 ms and once more at the end; makes silence visible.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause};
use crate::store::audit::{self, Patience};
use crate::store::{Ledger, StoreError};

/// Between two batches.
const PERIOD: Duration = Duration::from_millis(200);
/// After so long without an event, one is written.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two looks for silence.
const LOOK: Duration = Duration::from_secs(10);
/// How long the last batch may take when the process stops.
const LAST: Duration = Duration::from_secs(5);

pub(super) async fn run(ledger: Ledger, stop: CancellationToken) {
    let mut trouble = Trouble::default();
    let mut looked: Option<Instant> = None;
    while pause(&stop, PERIOD).await {
        trouble.note("sealing the audit log", audit::seal(&ledger, Patience::Try).await);
        if looked.is_none_or(|last| last.elapsed() >= LOOK) {
            trouble.note("the heartbeat of the audit log", audit::heartbeat(&ledger, SILENCE).await);
            looked = Some(Instant::now());
        }
    }
    let last = tokio::time::timeout(LAST, audit::seal(&ledger, Patience::Wait)).await;
    let in_time = |_| StoreError::Unavailable("the last batch took too long".into());
    trouble.note("the last batch of the audit log", last.map_err(in_time).flatten());
}
