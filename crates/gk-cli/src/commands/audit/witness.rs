//! What was seen of logs before: what makes a cut tail, a rewritten log and another key show.
//!
//! One file a server in the state directory. It is only ever replaced by what was proven to continue it.

use std::path::{Path, PathBuf};

use gk_shared::audit::{Hash, Head, SealedHead};
use gk_shared::problem::ErrorCode;
use serde::{Deserialize, Serialize};

use crate::client::Address;
use crate::config::{Paths, write_private};
use crate::error::CliError;

/// What a witness holds of a log: how far it reached, the signed checkpoint with its keys, or both. An agent's file, a
/// line of the control plane's checkpoint file, the first line of an export and the answer of `gk audit verify --json`
/// all read as one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    epochs: Vec<String>,
}

impl Seen {
    /// A log that was read to `head`, with what it said of itself.
    pub(super) fn new(head: Head, sealed: Option<&SealedHead>) -> Self {
        Self {
            size: Some(head.size),
            hash: Some(head.hash.to_string()),
            checkpoint: sealed.map(|sealed| sealed.checkpoint.clone()),
            epochs: sealed.map(|sealed| sealed.epochs.clone()).unwrap_or_default(),
        }
    }

    /// How far the log reached.
    pub(super) fn head(&self) -> Option<Head> {
        Some(Head { size: self.size?, hash: Hash::from_hex(self.hash.as_deref()?)? })
    }

    /// What it was signed as.
    pub(super) fn sealed(&self) -> Option<SealedHead> {
        Some(SealedHead { checkpoint: self.checkpoint.clone()?, epochs: self.epochs.clone() })
    }
}

/// Where it is remembered what was seen of a server's log.
pub(super) fn path(paths: &Paths, address: &Address) -> PathBuf {
    let safe = |found: char| if found.is_ascii_alphanumeric() || matches!(found, '.' | '-') { found } else { '_' };
    let name: String = address.to_string().chars().map(safe).collect();
    paths.state_dir().join("heads").join(format!("{name}.json"))
}

/// All that a file holds; nothing where there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<Seen>, CliError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unusable(path, &error.to_string())),
    };
    let values = serde_json::Deserializer::from_slice(&bytes).into_iter::<Seen>();
    let seen = values.collect::<Result<Vec<_>, _>>().map_err(|error| unusable(path, &error.to_string()))?;
    let says_something = |seen: &Seen| seen.head().is_some() || seen.sealed().is_some();
    if seen.is_empty() || !seen.iter().all(says_something) {
        return Err(unusable(path, "neither a size with a hash of 64 hex digits nor a checkpoint is in it"));
    }
    Ok(seen)
}

/// Forgets a log that was thrown away on purpose.
#[cfg(feature = "dev")]
pub(crate) fn forget(paths: &Paths, address: &Address) -> std::io::Result<()> {
    match std::fs::remove_file(path(paths, address)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Remembers what was checked.
pub(super) fn remember(path: &Path, seen: &Seen) -> Result<(), CliError> {
    let text = serde_json::to_string(seen).expect("integers and texts");
    Ok(write_private(path, text.as_bytes())?)
}

fn unusable(path: &Path, cause: &str) -> CliError {
    CliError::new(ErrorCode::ConfigInvalid, format!("{} holds no head of a log: {cause}", path.display())).next(
        "A head is what `gk audit verify --json` prints, an agent's checkpoint file, or the first line of an export.",
    )
}
