//! Checkpoints: where a log stands, as the text of a note (C2SP tlog-checkpoint with two lines of our own).
//!
//! ```text
//! gatekeeper/01K9...      origin: no two ledgers have the same
//! 4711                    number of events
//! CsUYapGGPo4d...=        root of the tree, base64
//! chain 5f2c...           hash of the last link, hex
//! epoch 1                 which key signs
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::note::{Note, NoteError};
use super::{Hash, Head};

/// What every origin begins with.
const ORIGIN: &str = "gatekeeper/";

/// Why a checkpoint cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not the lines that a checkpoint has.
    #[error("it is not a checkpoint: origin, size, root, `chain` and `epoch`, a line each")]
    Malformed,
}

/// Name of a log: `gatekeeper/` and the random id of its ledger. Its keys sign under the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogOrigin(String);

impl LogOrigin {
    /// The origin of the log with this id, 1 to 64 characters of a-z 0-9 and -.
    #[must_use]
    pub fn of_log(id: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ((1..=64).contains(&id.len()) && id.bytes().all(fits)).then(|| Self(format!("{ORIGIN}{id}")))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogOrigin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for LogOrigin {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        text.strip_prefix(ORIGIN).and_then(Self::of_log).ok_or(CheckpointError::Malformed)
    }
}

/// Where a log stands, in the chain and in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log it is.
    pub origin: LogOrigin,
    /// Number of events and hash of the last link.
    pub head: Head,
    /// Root of the tree over them.
    pub root: Hash,
    /// Number of the key that signs it, from 1.
    pub epoch: u32,
}

impl Checkpoint {
    /// Number of leaves of the tree.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        u64::try_from(self.head.size).expect("a size is never negative")
    }

    /// The note to be signed.
    #[must_use]
    pub fn note(&self) -> Note {
        let Self { origin, head, root, epoch } = self;
        let root = BASE64.encode(root.0);
        let body = format!("{origin}\n{}\n{root}\nchain {}\nepoch {epoch}\n", head.size, head.hash);
        Note::unsigned(body).expect("it holds only ASCII")
    }

    /// Reads the text of a note. Who signed it is not looked at.
    ///
    /// # Errors
    /// It is no checkpoint, or not written in the one way a checkpoint is.
    pub fn of_note(note: &Note) -> Result<Self, CheckpointError> {
        let made = Self::of_body(note.body()).ok_or(CheckpointError::Malformed)?;
        // One checkpoint has one text: no leading zeros, no signs, no other base64.
        if made.note().body() == note.body() { Ok(made) } else { Err(CheckpointError::Malformed) }
    }

    fn of_body(body: &str) -> Option<Self> {
        let mut lines = body.strip_suffix('\n')?.split('\n');
        let origin = lines.next()?.parse().ok()?;
        let size = lines.next()?.parse().ok().filter(|size: &i64| *size >= 0)?;
        let root = Hash(BASE64.decode(lines.next()?).ok()?.try_into().ok()?);
        let hash = Hash::from_hex(lines.next()?.strip_prefix("chain ")?)?;
        let epoch = lines.next()?.strip_prefix("epoch ")?.parse().ok()?;
        let ended = lines.next().is_none() && epoch > 0;
        ended.then_some(Self { origin, head: Head { size, hash }, root, epoch })
    }
}

/// A signed checkpoint and the key epochs to believe it by, as they travel: one line of JSON in an export, in the
/// control plane's checkpoint file and in a witness's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SealedHead {
    /// The signed note.
    pub checkpoint: String,
    /// The notes of all key epochs, from the first on.
    pub epochs: Vec<String>,
}

impl SealedHead {
    /// As a line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("it holds only texts")
    }
}

#[cfg(test)]
mod tests;
