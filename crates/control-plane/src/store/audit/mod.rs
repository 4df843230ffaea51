//! The audit log in the ledger: events without a change, chain and tree over all events, signed checkpoints, and reading
//! them.

mod checkpoints;
mod read;
mod seal;
mod tree;

pub use checkpoints::{Kept, Rotated, SignError, keys, newest_checkpoint, origin, proof, rotate, sign};
pub(super) use read::link;
pub use read::{AuditFilter, AuditSearch, checkpoint, events, unsealed};
pub use seal::{Patience, Sealed, heartbeat, seal};
pub use tree::{Standing, standing};

use super::{Event, Lane, Ledger, Origin, StoreError};

/// Records an event that changes nothing: a denial, a refusal.
///
/// # Errors
/// The ledger's own trouble.
pub async fn record(ledger: &Ledger, origin: Origin, event: Event) -> Result<(), StoreError> {
    ledger.begin(Lane::Normal, origin).await?.record(event).commit().await
}
