//! The delivery of a credential: the first one is an event of its own.

use gk_shared::audit::AuditAction;
use gk_shared::ids::SessionId;

use crate::store::row::Reader;
use crate::store::tx::params;
use crate::store::{Event, Lane, Ledger, Origin, StoreError};

const LOOK: &str = "-- sessions::credential_look
    SELECT recipient_fingerprint FROM sessions
    WHERE id = $1 AND credential_read_at IS NULL AND sealed_credential IS NOT NULL FOR NO KEY UPDATE";

const MARK: &str = "-- sessions::mark_credential_read
    UPDATE sessions SET credential_read_at = now() WHERE id = $1";

/// Notes that the requester is given the credential. True for the first time; call it before handing it out, and do
/// not hand it out if this fails: an access that cannot be logged is not given.
///
/// # Errors
/// The ledger's own trouble.
pub async fn mark_credential_read(ledger: &Ledger, origin: Origin, id: SessionId) -> Result<bool, StoreError> {
    let (mut tx, rows) = ledger.begin_with((Lane::Normal, origin), LOOK, &[&id.uuid()]).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let fingerprint: String = Reader::new(row, "session").get("recipient_fingerprint")?;
    tx.last(MARK, params![id.uuid()]);
    tx.record(read_event(id, &fingerprint)).commit().await?;
    Ok(true)
}

/// The requester is given the credential.
pub(in crate::store) fn read_event(id: SessionId, fingerprint: &str) -> Event {
    Event::new(AuditAction::SessionCredentialRead, id).fact("recipient_key", fingerprint)
}
