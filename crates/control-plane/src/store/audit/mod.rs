//! The audit log in the ledger: events without a change, the chain over all events, and reading both.

mod read;
mod seal;

pub use read::{AuditFilter, checkpoint, events, unsealed};
pub use seal::{Patience, Sealed, heartbeat, seal};

use super::{Event, Lane, Ledger, Origin, StoreError};

/// Records an event that changes nothing: a denial, a refusal.
///
/// # Errors
/// The ledger's own trouble.
pub async fn record(ledger: &Ledger, origin: Origin, event: Event) -> Result<(), StoreError> {
    ledger.begin(Lane::Normal, origin).await?.record(event).commit().await
}
