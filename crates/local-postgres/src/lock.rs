//! Who holds a data directory: a lock file beside it that the kernel frees when its holder ends, however it ends.

use crate::error::ClusterError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
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
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(ClusterError::io("opening the lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder's id is a courtesy: without it the answer is the same.
                let _ = file.read_to_string(&mut holder);
                return Err(ClusterError::Held {
                    data_dir: data_dir.to_path_buf(),
                    pid: holder.trim().parse().unwrap_or(0),
                });
            }
            Err(TryLockError::Error(source)) => return Err(ClusterError::io("locking", &path)(source)),
        }
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(ClusterError::io("writing the lock file", &path))?;
        Ok(Self { _file: file })
    }
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
}
