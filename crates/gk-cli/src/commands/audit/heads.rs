//! Heads of logs that were seen before: what makes a cut tail or a rewritten log show.
//!
//! One file a server in the state directory. A head is only ever replaced by one that was proven to continue it.

use std::path::{Path, PathBuf};

use gk_shared::audit::{Hash, Head};
use gk_shared::problem::ErrorCode;
use serde::{Deserialize, Serialize};

use crate::client::Address;
use crate::config::{Paths, write_private};
use crate::error::CliError;

/// A head as a file holds it. `gk audit verify --json` prints one, so its output can be kept elsewhere and used again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenHead {
    size: i64,
    hash: String,
}

/// Where the head of a server's log is remembered.
pub(super) fn path(paths: &Paths, address: &Address) -> PathBuf {
    let safe = |found: char| if found.is_ascii_alphanumeric() || matches!(found, '.' | '-') { found } else { '_' };
    let name: String = address.to_string().chars().map(safe).collect();
    paths.state_dir().join("heads").join(format!("{name}.json"))
}

/// The head in a file; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Head>, CliError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(path, &error.to_string())),
    };
    let seen: SeenHead = serde_json::from_slice(&bytes).map_err(|error| unusable(path, &error.to_string()))?;
    let hash = Hash::from_hex(&seen.hash).ok_or_else(|| unusable(path, "hash is not 64 hex digits"))?;
    Ok(Some(Head { size: seen.size, hash }))
}

/// Forgets the head of a server whose log was thrown away on purpose.
#[cfg(feature = "dev")]
pub(crate) fn forget(paths: &Paths, address: &Address) -> std::io::Result<()> {
    match std::fs::remove_file(path(paths, address)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Remembers a head that was checked.
pub(super) fn remember(path: &Path, head: Head) -> Result<(), CliError> {
    let seen = SeenHead { size: head.size, hash: head.hash.to_string() };
    let text = serde_json::to_string(&seen).expect("an integer and a text");
    Ok(write_private(path, text.as_bytes())?)
}

fn unusable(path: &Path, cause: &str) -> CliError {
    CliError::new(ErrorCode::ConfigInvalid, format!("{} holds no head of a log: {cause}", path.display()))
        .next("A head is {\"size\": N, \"hash\": \"64 hex digits\"}, as `gk audit verify --json` prints it.")
}
