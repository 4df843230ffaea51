//! The checkpoint file: every signed checkpoint, one line each, appended and on disk before anybody is told.
//!
//! It lies outside the ledger, best on a disk that the ledger's owner cannot write to. Such a disk may hang: nobody waits
//! for it longer than [`PATIENCE`], and no thread that serves requests does at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gk_shared::audit::{AuditFinding, SealedHead};

/// The longest that the file's disk may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How far from its end the file is read: the newest line and one before it, with hundreds of keys.
const TAIL: u64 = 512 * 1024;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
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

/// The file. It is opened for each use, so that it may be moved away at any time.
#[derive(Debug, Clone)]
pub struct Sink {
    path: PathBuf,
}

impl Sink {
    /// The file at this place; it need not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Adds a line, and returns once it is on disk.
    ///
    /// # Errors
    /// What the system said.
    pub async fn append(&self, sealed: SealedHead) -> io::Result<()> {
        let sink = self.clone();
        on_disk(move || sink.append_now(&sealed)).await.flatten()
    }

    fn append_now(&self, sealed: &SealedHead) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        // A line that a crash cut short must not swallow this one.
        let cut_short = last_byte(&mut file)?.is_some_and(|byte| byte != b'\n');
        let line = format!("{}{}\n", if cut_short { "\n" } else { "" }, sealed.line());
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(line.as_bytes()).and_then(|()| file.sync_all()) {
            // A disk that is full takes parts of lines, one at each try; they would hide the last whole one.
            let _ = file.set_len(before);
            return Err(error);
        }
        // A file that is new exists only once its directory is on disk.
        File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all()
    }

    /// The newest line that is whole; `None` if there is no file or nothing in it.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub async fn newest(&self) -> Result<Option<SealedHead>, SinkError> {
        let path = self.path.clone();
        let text = match on_disk(move || tail(&path)).await.flatten() {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SinkError::Io { path: self.path.clone(), source }),
        };
        let lines = || text.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty());
        // Only the last line may have been cut short.
        let newest = lines().take(2).find_map(|line| serde_json::from_slice(line).ok());
        // The very first line, cut short: nobody was ever told of it.
        let only_begun = !text.contains(&b'\n');
        match newest {
            None if lines().next().is_some() && !only_begun => Err(SinkError::Nonsense(self.path.clone())),
            found => Ok(found),
        }
    }

    pub(super) fn unbelievable(&self, finding: AuditFinding) -> SinkError {
        SinkError::Unbelievable { path: self.path.clone(), finding }
    }
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let done = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(work)).await;
    done.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map_err(io::Error::other)
}

fn last_byte(file: &mut File) -> io::Result<Option<u8>> {
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}

fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(name: &str) -> SealedHead {
        SealedHead { checkpoint: name.to_owned(), epochs: vec!["a\nb".to_owned()] }
    }

    #[tokio::test]
    async fn the_newest_line_is_read_back_also_behind_one_that_a_crash_cut_short() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("checkpoints");
        let sink = Sink::new(path.clone());
        assert_eq!(sink.newest().await.expect("no file"), None);
        sink.append(head("first")).await.expect("appends");
        sink.append(head("second")).await.expect("appends");
        assert_eq!(sink.newest().await.expect("reads"), Some(head("second")));
        let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(b"{\"checkpoint\":\"thi").expect("writes");
        assert_eq!(sink.newest().await.expect("reads"), Some(head("second")));
        sink.append(head("fourth")).await.expect("appends");
        assert_eq!(sink.newest().await.expect("reads"), Some(head("fourth")));
    }

    #[tokio::test]
    async fn a_first_line_that_a_crash_cut_short_is_no_checkpoint_and_no_obstacle() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("checkpoints");
        std::fs::write(&path, "{\"checkpoint\":\"thi").expect("writes");
        let sink = Sink::new(path);
        assert_eq!(sink.newest().await.expect("reads"), None);
        sink.append(head("first")).await.expect("appends");
        assert_eq!(sink.newest().await.expect("reads"), Some(head("first")));
    }

    #[tokio::test]
    async fn a_file_of_something_else_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("checkpoints");
        std::fs::write(&path, "hello\nworld\n").expect("writes");
        let error = Sink::new(path).newest().await.expect_err("is nonsense").to_string();
        assert!(error.contains("checkpoints is not a checkpoint file"), "{error}");
    }

    #[tokio::test]
    async fn a_disk_that_hangs_is_given_up_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("checkpoints");
        // Opening a pipe that nobody writes to waits for ever.
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("makes a pipe");
        tokio::time::pause();
        let sink = Sink::new(path.clone());
        let (answer, ()) = tokio::join!(sink.newest(), tokio::time::advance(PATIENCE * 2));
        let error = answer.expect_err("hangs");
        assert!(matches!(error, SinkError::Io { source, .. } if source.kind() == io::ErrorKind::TimedOut));
        // Lets the thread that waits go on, or the runtime would wait for it.
        drop(OpenOptions::new().write(true).open(path).expect("opens"));
    }
}
