//! The notary: signs where the audit log stands, keeps that outside the ledger, and refuses to grant anything once the
//! log went back behind what was signed.
//!
//! Always holds: what the log became is never taken for what it was. A log that is shorter than a checkpoint seen before,
//! or says something else about its past, is a regression until an admin accepts it. What shows it is kept in the
//! ledger, so that every process knows; sessions still end.

mod checkpoint_file;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use gk_shared::audit::note::SigningKey;
use gk_shared::audit::{AuditAction, AuditFinding, Opened, SealedHead, Trust};
use gk_shared::problem::ErrorCode;

use crate::http::problem::{ApiError, chain};
use crate::sinks::SinkConfig;
use crate::store::audit::{self, SignError, Standing};
use crate::store::recovery::{self, Cause, Evidence};
use crate::store::{Event, Ledger, StoreError};

pub use checkpoint_file::{CheckpointFile, CheckpointFileError};

/// What a control plane signs its audit log with, where it keeps the checkpoints besides the ledger, and who gets copies.
#[derive(Debug, Clone, Default)]
pub struct AuditConfig {
    /// The key; without one nothing is signed.
    pub signing_key: Option<Arc<SigningKey>>,
    /// The file; without one only agents and callers notice a log that went back.
    pub checkpoint_file: Option<PathBuf>,
    /// Where copies of the log are delivered.
    pub sinks: Vec<SinkConfig>,
}

/// A log that went back: what is wrong, and who had seen it otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regression {
    /// What is wrong with it.
    pub finding: AuditFinding,
    /// `checkpoint_file`, or the agent's name.
    pub witness: String,
}

/// One process' notary. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notary(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    key: Option<Arc<SigningKey>>,
    file: Option<CheckpointFile>,
    found: RwLock<Found>,
}

/// What this process knows of a ledger that went back.
#[derive(Debug, Default)]
struct Found {
    /// What it found itself, and the checkpoint that shows it.
    regression: Option<(Regression, String)>,
    /// What is open in the ledger.
    open: Option<String>,
}

impl Notary {
    /// A notary with these settings.
    #[must_use]
    pub fn new(config: &AuditConfig) -> Self {
        let file = config.checkpoint_file.clone().map(CheckpointFile::new);
        Self(Arc::new(Parts { key: config.signing_key.clone(), file, found: RwLock::default() }))
    }

    /// What was found, if the log went back.
    #[must_use]
    pub fn regression(&self) -> Option<Regression> {
        self.read(|found| found.regression.as_ref().map(|(regression, _)| regression.clone()))
    }

    fn read<T>(&self, look: impl FnOnce(&Found) -> T) -> T {
        look(&self.0.found.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut Found)) {
        change(&mut self.0.found.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Learns what other processes, and admins, have written into the ledger.
    ///
    /// # Errors
    /// The ledger's own trouble.
    pub async fn refresh(&self, ledger: &Ledger) -> Result<(), StoreError> {
        let open = recovery::open(ledger).await?.first().map(|finding| finding.detail.clone());
        let head = self.read(|found| found.regression.as_ref().map(|(_, head)| head.clone()));
        let accepted = match &head {
            Some(head) => recovery::is_accepted(ledger, head).await?,
            None => false,
        };
        self.write(|found| {
            found.open = open;
            // Another may have been found meanwhile.
            if accepted && found.regression.as_ref().map(|(_, head)| head) == head.as_ref() {
                found.regression = None;
            }
        });
        Ok(())
    }

    /// Refuses to grant anything on top of a log that went back.
    ///
    /// # Errors
    /// [`ErrorCode::AuditRegression`] or [`ErrorCode::LedgerRestored`] if it did.
    pub fn may_grant(&self) -> Result<(), ApiError> {
        if let Some(Regression { finding, witness }) = self.regression() {
            let detail = format!("the audit log went back behind what {witness} has seen: {finding}");
            return Err(ApiError::new(ErrorCode::AuditRegression, detail));
        }
        self.read(|found| found.open.clone())
            .map_or(Ok(()), |detail| Err(ApiError::new(ErrorCode::LedgerRestored, detail)))
    }

    /// Signs where the log stands, once it was held against what is kept outside the ledger. Without a key nothing is
    /// signed.
    ///
    /// # Errors
    /// The ledger's own trouble, a key that may not sign, or a file that cannot be read or written.
    pub async fn sign(&self, ledger: &Ledger) -> Result<(), NotaryError> {
        let newest = match &self.0.file {
            Some(file) => file.newest().await?,
            None => None,
        };
        if let (Some(file), Some(newest)) = (&self.0.file, &newest) {
            let opened = Trust::default().open(newest).map_err(|finding| file.unbelievable(finding))?;
            self.compare(ledger, &opened, "the checkpoint file").await?;
        }
        let (Some(key), None) = (&self.0.key, self.regression()) else { return Ok(()) };
        let keep = async |sealed: SealedHead| match &self.0.file {
            Some(file) if newest.as_ref() != Some(&sealed) => file.append(sealed).await,
            Some(_) | None => Ok(()),
        };
        Ok(audit::sign(ledger, key, keep).await?)
    }

    /// The first look at the log, before anything is granted. A disk that is full now must not keep sessions from
    /// ending, so that is tried again later; a key that is not the log's is the settings' fault.
    ///
    /// # Errors
    /// Only what trying again will not mend.
    pub async fn begin(&self, ledger: &Ledger) -> Result<(), NotaryError> {
        let unsigned = self.0.key.is_none() && audit::newest_checkpoint(ledger).await?.is_some();
        if unsigned {
            tracing::warn!("the audit log was signed before and is not now: there is no audit.signing_key_file");
        }
        self.refresh(ledger).await?;
        match self.sign(ledger).await {
            Err(error) if !error.passes() => Err(error),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the first checkpoint could not be signed");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Holds the log against what an agent has witnessed. What this log's keys did not sign says nothing.
    ///
    /// # Errors
    /// The ledger's own trouble.
    pub async fn hear(&self, ledger: &Ledger, agent: &str, sealed: &SealedHead) -> Result<(), StoreError> {
        let opened = match Trust::default().open(sealed) {
            Ok(opened) => opened,
            Err(finding) => {
                tracing::warn!(agent, %finding, "an agent reports a checkpoint that does not hold");
                return Ok(());
            }
        };
        if !self.is_ours(ledger, &opened).await? {
            tracing::warn!(agent, "an agent holds a checkpoint of keys that are not this log's");
            return Ok(());
        }
        self.compare(ledger, &opened, &format!("agent {agent}")).await
    }

    /// Whether a key of ours is among those of the checkpoint: the one in our hands, or one that the ledger knows.
    async fn is_ours(&self, ledger: &Ledger, opened: &Opened) -> Result<bool, StoreError> {
        let theirs = |key: &_| opened.keys.epochs().iter().any(|epoch| epoch.key == *key);
        let name = opened.checkpoint.origin.as_str();
        if self.0.key.as_ref().is_some_and(|key| theirs(&key.verifier(name))) {
            return Ok(true);
        }
        match audit::keys(ledger).await {
            Ok(keys) => Ok(keys.epochs().iter().any(|epoch| theirs(&epoch.key))),
            Err(SignError::Store(error)) => Err(error),
            Err(SignError::Keys(_) | SignError::Retired { .. } | SignError::Unknown | SignError::File(_)) => Ok(false),
        }
    }

    async fn compare(&self, ledger: &Ledger, known: &Opened, witness: &str) -> Result<(), StoreError> {
        let Some(finding) = contradiction(ledger, known).await? else { return Ok(()) };
        let head = head_of(known);
        if self.regression().is_some() || recovery::is_accepted(ledger, &head).await? {
            return Ok(());
        }
        let witness = witness.to_owned();
        let found = Regression { finding: finding.clone(), witness: witness.clone() };
        self.write(|known| known.regression = Some((found, head.clone())));
        tracing::error!(%finding, witness, "the audit log went back: nothing is granted, sessions still end");
        let event = Event::new(AuditAction::AuditRegression, "log")
            .fact("finding", finding.kind())
            .fact("size_seen", known.checkpoint.head.size)
            .fact("witness", &witness);
        let detail = format!("the audit log went back behind what {witness} has seen: {finding}");
        let evidence = Evidence { cause: Cause::AuditRegression, detail, head: Some(head) };
        if let Err(error) = recovery::regression(ledger, &evidence, event).await {
            tracing::error!(error = %chain(&error), "the regression could not be written into the log");
        }
        Ok(())
    }
}

/// A name for exactly this checkpoint: what is accepted of one says nothing of another.
fn head_of(known: &Opened) -> String {
    let seen = &known.checkpoint;
    format!("{} {} {}", seen.origin, seen.head.size, seen.root)
}

async fn contradiction(ledger: &Ledger, known: &Opened) -> Result<Option<AuditFinding>, StoreError> {
    let origin = audit::origin(ledger).await?;
    let seen = &known.checkpoint;
    if origin != seen.origin {
        let (found, known) = (origin.to_string(), seen.origin.to_string());
        return Ok(Some(AuditFinding::WrongOrigin { found, known }));
    }
    match audit::standing(ledger, seen).await? {
        Standing::Continues => strange_keys(ledger, known).await,
        Standing::Shorter(size) => Ok(Some(AuditFinding::Cut { size, known: seen.head.size })),
        Standing::Differs => Ok(Some(AuditFinding::Rewritten { seq: seen.head.size })),
    }
}

/// Whether the ledger has forgotten or replaced keys that signed before.
async fn strange_keys(ledger: &Ledger, known: &Opened) -> Result<Option<AuditFinding>, StoreError> {
    match audit::keys(ledger).await {
        Ok(keys) if keys.extends(&known.keys) => Ok(None),
        Err(SignError::Store(error)) => Err(error),
        Err(SignError::Keys(finding)) => Ok(Some(finding)),
        Ok(_) | Err(SignError::Retired { .. } | SignError::Unknown | SignError::File(_)) => {
            Ok(Some(AuditFinding::UnknownKey { seq: known.checkpoint.head.size }))
        }
    }
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum NotaryError {
    /// The ledger or the key.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The file outside the ledger.
    #[error(transparent)]
    File(#[from] CheckpointFileError),
}

impl From<StoreError> for NotaryError {
    fn from(error: StoreError) -> Self {
        Self::Sign(SignError::Store(error))
    }
}

impl NotaryError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Sign(SignError::Store(error)) => error.code(),
            Self::Sign(SignError::Keys(_)) => ErrorCode::AuditRegression,
            Self::Sign(SignError::Retired { .. } | SignError::Unknown) | Self::File(_) => ErrorCode::ConfigInvalid,
            Self::Sign(SignError::File(_)) => ErrorCode::AuditUnavailable,
        }
    }

    /// Whether trying again later may help: the ledger is away, or a disk is full.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Sign(SignError::Store(_) | SignError::File(_)))
    }
}
