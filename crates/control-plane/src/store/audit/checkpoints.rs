//! Signed checkpoints in the ledger, and the keys that sign them.
//!
//! Always holds: one signs at a time (an advisory lock that a change of keys takes too), so no key signs behind the
//! place where it was retired.

use gk_shared::audit::epoch::first_epoch;
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::{AuditAction, AuditFinding, Checkpoint, KeyChain, LogOrigin, SealedHead};
use jiff::Timestamp;
use tokio_postgres::GenericClient;
use tokio_postgres::types::ToSql;

use super::tree;
use crate::store::row::Reader;
use crate::store::{Event, Ledger, Origin, StoreError};

/// The advisory lock of those who sign.
const LOCK: i64 = 0x676b_5f73_6967_6e65;

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys in the ledger do not hold together.
    #[error("the keys of the audit log in the ledger do not hold together: {0}")]
    Keys(#[from] AuditFinding),
    /// The key was replaced by another.
    #[error("the signing key was retired: another one signs this log since size {since}")]
    Retired {
        /// Where the next one began.
        since: i64,
    },
    /// The key never signed this log.
    #[error(
        "the signing key is not one of this log's: name the one that signed before, or let that one introduce this with `gk-control-plane audit-key --rotate`"
    )]
    Unknown,
    /// The signed checkpoint could not be kept.
    #[error("the checkpoint file cannot be written")]
    File(#[source] std::io::Error),
}

/// A signed checkpoint as it stands in the ledger.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The note and the keys.
    pub sealed: SealedHead,
    /// When it was signed.
    pub at: Timestamp,
}

const ORIGIN: &str = "-- audit::origin\nSELECT id FROM audit_log WHERE tenant_id = $1";

/// Name of the log.
///
/// # Errors
/// The ledger's own trouble.
pub async fn origin(ledger: &Ledger) -> Result<LogOrigin, StoreError> {
    let client = ledger.client(ledger.lane()).await?;
    let client: &tokio_postgres::Client = &client;
    read_origin(client).await
}

async fn read_origin(client: &impl GenericClient) -> Result<LogOrigin, StoreError> {
    let row = client.query_one(ORIGIN, &[&Ledger::tenant().uuid()]).await?;
    let row = Reader::new(&row, "audit log");
    LogOrigin::of_log(row.get("id")?).ok_or_else(|| row.bad("id", "is no name of a log"))
}

const EPOCHS: &str = "-- audit::epochs\nSELECT note FROM audit_epochs ORDER BY number";

async fn epochs(client: &impl GenericClient) -> Result<Vec<String>, StoreError> {
    let rows = client.query(EPOCHS, &[]).await?;
    rows.iter().map(|row| Reader::new(row, "audit epoch").get("note")).collect()
}

/// All keys of the log up to now.
///
/// # Errors
/// The ledger's own trouble, or keys that do not hold together.
pub async fn keys(ledger: &Ledger) -> Result<KeyChain, SignError> {
    let client = ledger.client(ledger.lane()).await?;
    let client: &tokio_postgres::Client = &client;
    Ok(KeyChain::follow(&read_origin(client).await?, &epochs(client).await?)?)
}

const NEWEST: &str = "-- audit::newest_checkpoint
    SELECT note, made_at FROM audit_checkpoints ORDER BY size DESC, epoch DESC LIMIT 1";

async fn newest(client: &impl GenericClient) -> Result<Option<Kept>, StoreError> {
    let Some(row) = client.query_opt(NEWEST, &[]).await? else { return Ok(None) };
    let row = Reader::new(&row, "audit checkpoint");
    let sealed = SealedHead { checkpoint: row.get("note")?, epochs: epochs(client).await? };
    Ok(Some(Kept { sealed, at: row.get("made_at")? }))
}

/// The newest signed checkpoint, if ever one was made.
///
/// # Errors
/// The ledger's own trouble.
pub async fn newest_checkpoint(ledger: &Ledger) -> Result<Option<Kept>, StoreError> {
    let client = ledger.client(ledger.lane()).await?;
    let client: &tokio_postgres::Client = &client;
    newest(client).await
}

const SIGN_LOCK: &str = "-- audit::sign_lock\nSELECT pg_advisory_xact_lock($1)";
const ADD_EPOCH: &str = "-- audit::add_epoch\nINSERT INTO audit_epochs (tenant_id, number, note) VALUES ($1, $2, $3)";
const ADD_CHECKPOINT: &str = "-- audit::add_checkpoint
    INSERT INTO audit_checkpoints (tenant_id, size, epoch, note) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

/// Signs where the log stands; the first key that ever signs becomes the log's. What is signed is given to `keep` before
/// anybody else can see it, also when another process has signed the same.
///
/// # Errors
/// The ledger's own trouble, a key that may not sign, or a checkpoint that could not be kept.
pub async fn sign<K>(ledger: &Ledger, key: &SigningKey, keep: impl FnOnce(SealedHead) -> K) -> Result<(), SignError>
where
    K: Future<Output = std::io::Result<()>>,
{
    let mut client = ledger.client(ledger.lane()).await?;
    let tx = client.transaction().await.map_err(StoreError::from)?;
    tx.execute(SIGN_LOCK, &[&LOCK]).await.map_err(StoreError::from)?;
    let keys = keys_with(&*tx, key).await?;
    let epoch = authorised(&keys, key)?;
    let head = tree::head(&*tx).await?;
    let root = tree::frontier(&*tx, head.size).await?.root();
    let checkpoint = Checkpoint { origin: keys.origin().clone(), head, root, epoch };
    let note = checkpoint.note().signed(keys.origin().as_str(), key).to_string();
    let number = i32::try_from(epoch).expect("there are few epochs");
    let params: [&(dyn ToSql + Sync); 4] = [&Ledger::tenant().uuid(), &head.size, &number, &note];
    tx.execute(ADD_CHECKPOINT, &params).await.map_err(StoreError::audit)?;
    keep(SealedHead { checkpoint: note, epochs: epochs(&*tx).await? }).await.map_err(SignError::File)?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// The keys of the log; `key` becomes the first where there is none.
async fn keys_with(client: &impl GenericClient, key: &SigningKey) -> Result<KeyChain, SignError> {
    let origin = read_origin(client).await?;
    let mut notes = epochs(client).await?;
    if notes.is_empty() {
        let starts = tree::head(client).await?.size;
        let note = first_epoch(&origin, key, starts).to_string();
        client.execute(ADD_EPOCH, &[&Ledger::tenant().uuid(), &1_i32, &note]).await.map_err(StoreError::audit)?;
        notes.push(note);
    }
    Ok(KeyChain::follow(&origin, &notes)?)
}

/// The epoch that this key signs for now.
fn authorised(keys: &KeyChain, key: &SigningKey) -> Result<u32, SignError> {
    let own = key.verifier(keys.origin().as_str());
    let mut after = keys.epochs().iter().rev();
    match after.next() {
        Some(newest) if newest.key == own => Ok(newest.number),
        Some(newest) if after.any(|epoch| epoch.key == own) => Err(SignError::Retired { since: newest.starts }),
        Some(_) | None => Err(SignError::Unknown),
    }
}

/// What a change of keys did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Number of the new epoch.
    pub epoch: u32,
    /// Size of the log where it begins.
    pub starts: i64,
    /// The new key, as others pin it.
    pub verifier: String,
}

/// Lets `new` sign from now on. The last checkpoint of the old key covers everything before.
///
/// # Errors
/// The ledger's own trouble, or `old` is not the key of now.
pub async fn rotate(ledger: &Ledger, old: &SigningKey, new: &SigningKey) -> Result<Rotated, SignError> {
    let tx = ledger.begin(ledger.lane(), Origin::system()).await?;
    let client: &tokio_postgres::Client = tx.client();
    client.execute(SIGN_LOCK, &[&LOCK]).await.map_err(StoreError::from)?;
    let keys = keys_with(client, old).await?;
    authorised(&keys, old)?;
    let starts = tree::head(client).await?.size;
    let note = keys.next(old, new, starts).ok_or(SignError::Unknown)?;
    let epoch = u32::try_from(keys.epochs().len()).expect("there are few epochs") + 1;
    let number = i32::try_from(epoch).expect("there are few epochs");
    let params: [&(dyn ToSql + Sync); 3] = [&Ledger::tenant().uuid(), &number, &note.to_string()];
    client.execute(ADD_EPOCH, &params).await.map_err(StoreError::audit)?;
    let verifier = new.verifier(keys.origin().as_str()).to_string();
    let event = Event::new(AuditAction::AuditKeyRotated, "log").fact("epoch", epoch).fact("key", &verifier);
    tx.record(event).commit().await?;
    Ok(Rotated { epoch, starts, verifier })
}

/// Proof that the log of size `to` continues that of size `from`; `None` if it is smaller.
///
/// # Errors
/// The ledger's own trouble.
pub async fn proof(ledger: &Ledger, from: i64, to: i64) -> Result<Option<Vec<String>>, StoreError> {
    let client = ledger.client(ledger.lane()).await?;
    let client: &tokio_postgres::Client = &client;
    let proof = tree::consistency(client, from, to).await?;
    Ok(proof.map(|hashes| hashes.iter().map(ToString::to_string).collect()))
}
