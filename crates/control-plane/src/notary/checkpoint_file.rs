//! The checkpoint file: every signed checkpoint, one line each, appended and on disk before anybody is told.
//!
//! It lies outside the ledger, best on a disk that the ledger's owner cannot write to, and is read back: it is a witness.

use std::io;
use std::path::PathBuf;

use gk_shared::audit::{AuditFinding, SealedHead};

use crate::lines::LineFile;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFileError {
    /// The system refuses.
    #[error("the checkpoint file {path} cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{0} is not a checkpoint file: find out who wrote into it, then move it away")]
    Nonsense(PathBuf),
    /// What it holds was not signed as it says.
    #[error(
        "the newest checkpoint in {path} does not hold ({finding}): find out who wrote it, then move the file away"
    )]
    Unbelievable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        finding: AuditFinding,
    },
}

/// The file. It may be moved away at any time.
#[derive(Debug, Clone)]
pub struct CheckpointFile(LineFile);

impl CheckpointFile {
    /// The file at this place; it need not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(LineFile::new(path, 0o600))
    }

    /// Adds a line, and returns once it is on disk.
    ///
    /// # Errors
    /// What the system said.
    pub async fn append(&self, sealed: SealedHead) -> io::Result<()> {
        self.0.append(move |_| format!("{}\n", sealed.line())).await
    }

    /// The newest line that is whole; `None` if there is no file or nothing in it.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub async fn newest(&self) -> Result<Option<SealedHead>, CheckpointFileError> {
        // The newest line and one before it, with hundreds of keys.
        let text = match self.0.tail().await {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CheckpointFileError::Io { path: self.path(), source }),
        };
        let lines = || text.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty());
        // Only the last line may have been cut short.
        let newest = lines().take(2).find_map(|line| serde_json::from_slice(line).ok());
        // The very first line, cut short: nobody was ever told of it.
        let only_begun = !text.contains(&b'\n');
        match newest {
            None if lines().next().is_some() && !only_begun => Err(CheckpointFileError::Nonsense(self.path())),
            found => Ok(found),
        }
    }

    pub(super) fn unbelievable(&self, finding: AuditFinding) -> CheckpointFileError {
        CheckpointFileError::Unbelievable { path: self.path(), finding }
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use super::*;
    use crate::lines::PATIENCE;

    fn head(name: &str) -> SealedHead {
        SealedHead { checkpoint: name.to_owned(), epochs: vec!["a\nb".to_owned()] }
    }

    #[tokio::test]
    async fn the_newest_line_is_read_back_also_behind_one_that_a_crash_cut_short() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("checkpoints");
        let file = CheckpointFile::new(path.clone());
        assert_eq!(file.newest().await.expect("no file"), None);
        file.append(head("first")).await.expect("appends");
        file.append(head("second")).await.expect("appends");
        assert_eq!(file.newest().await.expect("reads"), Some(head("second")));
        let mut cut = OpenOptions::new().append(true).open(&path).expect("opens");
        cut.write_all(b"{\"checkpoint\":\"thi").expect("writes");
        assert_eq!(file.newest().await.expect("reads"), Some(head("second")));
        file.append(head("fourth")).await.expect("appends");
        assert_eq!(file.newest().await.expect("reads"), Some(head("fourth")));
    }

    #[tokio::test]
    async fn a_first_line_that_a_crash_cut_short_is_no_checkpoint_and_no_obstacle() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("checkpoints");
        std::fs::write(&path, "{\"checkpoint\":\"thi").expect("writes");
        let file = CheckpointFile::new(path);
        assert_eq!(file.newest().await.expect("reads"), None);
        file.append(head("first")).await.expect("appends");
        assert_eq!(file.newest().await.expect("reads"), Some(head("first")));
    }

    #[tokio::test]
    async fn a_file_of_something_else_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("checkpoints");
        std::fs::write(&path, "hello\nworld\n").expect("writes");
        let error = CheckpointFile::new(path).newest().await.expect_err("is nonsense").to_string();
        assert!(error.contains("checkpoints is not a checkpoint file"), "{error}");
    }

    #[tokio::test]
    async fn a_disk_that_hangs_is_given_up_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("checkpoints");
        // Opening a pipe that nobody writes to waits for ever.
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("makes a pipe");
        tokio::time::pause();
        let file = CheckpointFile::new(path.clone());
        let (answer, ()) = tokio::join!(file.newest(), tokio::time::advance(PATIENCE * 2));
        let error = answer.expect_err("hangs");
        assert!(matches!(error, CheckpointFileError::Io { source, .. } if source.kind() == io::ErrorKind::TimedOut));
        // Lets the thread that waits go on, or the runtime would wait for it.
        drop(OpenOptions::new().write(true).open(path).expect("opens"));
    }
}
