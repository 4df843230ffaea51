//! Who holds a data directory: a lock file beside it that the kernel frees when its holder ends, however it ends.

use crate::error::ClusterError;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The right to work on one data directory, for as long as it lives.
#[derive(Debug)]
pub(crate) struct DirLock {
    // Never read: the lock lives as long as the open file.
    _file: File,
}

impl DirLock {
    /// Takes the lock of `data_dir`, or says which process has it.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, ClusterError> {
        let path = beside(data_dir, ".lock");
        loop {
            let mut file = open(&path).map_err(ClusterError::io("opening the lock file", &path))?;
            match file.try_lock() {
                // Whoever held it before may have removed the file: then this lock keeps nobody out.
                Ok(()) if !is_at(&file, &path) => continue,
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(data_dir, &mut file)),
                Err(TryLockError::Error(source)) => return Err(ClusterError::io("locking", &path)(source)),
            }
            let written =
                file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
            written.map_err(ClusterError::io("writing the lock file", &path))?;
            return Ok(Self { _file: file });
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let id = |meta: Metadata| (meta.dev(), meta.ino());
    file.metadata().map(id).ok() == std::fs::metadata(path).map(id).ok()
}

fn held(data_dir: &Path, file: &mut File) -> ClusterError {
    let mut holder = String::new();
    // The holder's id is a courtesy: without it the answer is the same.
    let _ = file.read_to_string(&mut holder);
    ClusterError::Held { data_dir: data_dir.to_path_buf(), pid: holder.trim().parse().unwrap_or(0) }
}

/// A path next to the data directory: its own name with `suffix` added.
pub(crate) fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        let first = DirLock::take(&data_dir).unwrap();
        let refused = DirLock::take(&data_dir).unwrap_err();
        assert!(matches!(refused, ClusterError::Held { pid, .. } if pid == std::process::id()), "{refused}");
        drop(first);
        DirLock::take(&data_dir).unwrap();
    }
    #[test]
    fn a_lock_on_a_file_that_was_removed_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.lock");
        let file = open(&path).unwrap();
        assert!(is_at(&file, &path));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path));
        let another = open(&path).unwrap();
        assert!(!is_at(&file, &path) && is_at(&another, &path));
    }
}
