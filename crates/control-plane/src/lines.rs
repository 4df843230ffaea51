//! A file of lines that only grows, beside the ledger: the checkpoint file, and the files of sinks.
//!
//! Always holds: a line is on disk before anybody is told; a write that failed is cut back, and a line that a crash cut
//! short never swallows the next one. The disk may hang: nobody waits for it longer than [`PATIENCE`], no thread that
//! serves requests does at all, and one thread at a time hangs with it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

/// The longest that the file's disk may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How far from its end a file is read.
const TAIL: u64 = 512 * 1024;

/// The file. It is opened for each use, so that it may be moved away at any time.
#[derive(Debug, Clone)]
pub(crate) struct LineFile {
    path: PathBuf,
    /// Mode of a file that is new.
    mode: u32,
    /// One at a time: a write that hangs must not come back in the midst of the next one.
    turn: Arc<Mutex<()>>,
}

impl LineFile {
    /// The file at this place; it need not be there yet.
    pub(crate) fn new(path: PathBuf, mode: u32) -> Self {
        Self { path, mode, turn: Arc::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds what `choose` makes of the end of the file, whole lines each with its end, and returns once it is on disk.
    pub(crate) async fn append(&self, choose: impl FnOnce(&[u8]) -> String + Send + 'static) -> io::Result<()> {
        let (path, mode) = (self.path.clone(), self.mode);
        self.on_disk(move || append_now(&path, mode, choose)).await
    }

    /// The end of the file.
    pub(crate) async fn tail(&self) -> io::Result<Vec<u8>> {
        let path = self.path.clone();
        self.on_disk(move || tail(&mut File::open(path)?)).await
    }

    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        let done = async {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let work = move || {
                let done = work();
                drop(turn);
                done
            };
            tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten()
        };
        tokio::time::timeout(PATIENCE, done).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten()
    }
}

fn append_now(path: &Path, mode: u32, choose: impl FnOnce(&[u8]) -> String) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(mode).open(path)?;
    let end = tail(&mut file)?;
    let lines = choose(&end);
    if lines.is_empty() {
        // What lies there may be known to this machine's memory alone, from before a crash.
        return file.sync_all().and_then(|()| sync_parent(path));
    }
    // A line that a crash cut short must not swallow this one.
    let cut_short = end.last().is_some_and(|byte| *byte != b'\n');
    let text = format!("{}{lines}", if cut_short { "\n" } else { "" });
    let before = file.metadata()?.len();
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        // A disk that is full takes parts of lines, one at each try; they would hide the last whole one.
        let _ = file.set_len(before);
        return Err(error);
    }
    sync_parent(path)
}

/// A file that is new exists only once its directory is on disk.
fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn tail(file: &mut File) -> io::Result<Vec<u8>> {
    let from = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}
