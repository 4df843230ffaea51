//! The sealer's clock: links what was committed, every 200 ms and once more at the end; makes silence visible; has
//! the log signed by time, by count and at the end.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause};
use crate::notary::Notary;
use crate::store::audit::{self, Patience, Sealed};
use crate::store::{Ledger, StoreError};

/// Between two batches.
const PERIOD: Duration = Duration::from_millis(200);
/// After so long without an event, one is written.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two looks for silence.
const LOOK: Duration = Duration::from_secs(10);
/// The longest that goes by without a checkpoint.
const CHECKPOINT: Duration = Duration::from_secs(60);
/// After so many events the next one comes earlier.
const MANY: usize = 256;
/// How long the last batch, and its checkpoint, may take when the process stops.
const LAST: Duration = Duration::from_secs(5);

/// When the next checkpoint is due.
#[derive(Debug)]
struct Due {
    last: Instant,
    since: usize,
}

impl Due {
    fn now(&self) -> bool {
        self.since >= MANY || self.last.elapsed() >= CHECKPOINT
    }
}

pub(super) async fn run(ledger: Ledger, notary: Notary, stop: CancellationToken) {
    let (mut trouble, mut signing) = (Trouble::default(), Trouble::default());
    let mut looked: Option<Instant> = None;
    let mut due = Due { last: Instant::now(), since: 0 };
    while pause(&stop, PERIOD).await {
        let sealed = trouble.note("sealing the audit log", audit::seal(&ledger, Patience::Try).await);
        if let Some(Sealed::Linked(count)) = sealed {
            due.since += count;
        }
        if looked.is_none_or(|last| last.elapsed() >= LOOK) {
            trouble.note("the heartbeat of the audit log", audit::heartbeat(&ledger, SILENCE).await);
            looked = Some(Instant::now());
        }
        if due.now() {
            signing.note("signing the audit log", notary.sign(&ledger).await);
            due = Due { last: Instant::now(), since: 0 };
        }
    }
    trouble.note("the last batch of the audit log", last(audit::seal(&ledger, Patience::Wait)).await);
    signing.note("the last checkpoint of the audit log", last(notary.sign(&ledger)).await);
}

async fn last<T, E: From<StoreError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let late = |_| StoreError::Unavailable("it took too long".into()).into();
    tokio::time::timeout(LAST, work).await.map_err(late).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_is_due_after_a_minute_or_after_256_events() {
        let due = |since| Due { last: Instant::now(), since };
        assert!(!due(255).now() && due(256).now());
        let idle = due(0);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!idle.now());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(idle.now());
    }
}
