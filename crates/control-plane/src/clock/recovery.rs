//! Looks again and again whether another process has found that the ledger went back, or an admin has accepted it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause};
use crate::notary::Notary;
use crate::store::{Lane, Ledger};

/// Between two looks. Jobs wait for none of them: the ledger itself hands out none that grants anything.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn run(ledger: Ledger, notary: Notary, stop: CancellationToken) {
    let ledger = ledger.in_lane(Lane::Ending);
    let mut trouble = Trouble::default();
    while pause(&stop, PERIOD).await {
        trouble.note("the look whether the ledger went back", notary.refresh(&ledger).await);
    }
}
