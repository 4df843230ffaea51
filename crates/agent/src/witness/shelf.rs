//! The directory where a witness keeps what it saw: one file that is replaced whole, and evidence beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use gk_shared::audit::SealedHead;

/// What is believed.
const HELD: &str = "audit-checkpoint.json";
/// The first checkpoint that contradicted it, and the last one: no liar fills the disk.
const FIRST_EVIDENCE: &str = "audit-evidence-first.json";
const LAST_EVIDENCE: &str = "audit-evidence-last.json";

/// The directory.
#[derive(Debug)]
pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub(super) fn at(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    /// What is held, if it can be read.
    pub(super) fn read(&self) -> Option<SealedHead> {
        let path = self.0.join(HELD);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(path = %path.display(), %error, "the audit checkpoint of before cannot be read");
                }
                return None;
            }
        };
        let held = serde_json::from_str(&text);
        held.inspect_err(|error| {
            tracing::error!(path = %path.display(), %error, "the audit checkpoint of before is no checkpoint");
        })
        .ok()
    }

    /// Puts a new checkpoint in the place of the old; it is on disk when this returns.
    pub(super) fn keep(&self, new: &SealedHead) -> io::Result<()> {
        self.replace(HELD, new)
    }

    /// Keeps what contradicts the checkpoint that is held.
    pub(super) fn put_evidence(&self, new: &SealedHead) -> io::Result<()> {
        let first = !self.0.join(FIRST_EVIDENCE).exists();
        self.replace(if first { FIRST_EVIDENCE } else { LAST_EVIDENCE }, new)
    }

    fn replace(&self, name: &str, sealed: &SealedHead) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let (path, new) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(format!("{}\n", sealed.line()).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.0)?.sync_all()
    }
}
