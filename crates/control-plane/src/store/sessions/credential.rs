//! The delivery of a credential: the first one is an event of its own.

use gk_shared::audit::AuditAction;
use gk_shared::ids::SessionId;

use crate::store::{Event, Lane, Ledger, Origin, StoreError};

const MARK: &str = "-- sessions::mark_credential_read
    UPDATE sessions SET credential_read_at = now()
    WHERE id = $1 AND credential_read_at IS NULL AND sealed_credential IS NOT NULL
    RETURNING recipient_fingerprint";

/// Notes that the requester is given the credential. True for the first time; call it before handing it out, and do
/// not hand it out if this fails: an access that cannot be logged is not given.
///
/// # Errors
/// The ledger's own trouble.
pub async fn mark_credential_read(ledger: &Ledger, origin: Origin, id: SessionId) -> Result<bool, StoreError> {
    let tx = ledger.begin(Lane::Normal, origin).await?;
    let Some(row) = tx.opt(MARK, &[&id.uuid()]).await? else { return Ok(false) };
    let fingerprint: String = crate::store::row::Reader::new(&row, "session").get("recipient_fingerprint")?;
    let event = Event::new(AuditAction::SessionCredentialRead, id).fact("recipient_key", fingerprint);
    tx.record(event).commit().await?;
    Ok(true)
}
