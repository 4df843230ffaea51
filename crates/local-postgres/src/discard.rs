//! The end of a cluster whose server may still be there, and whose version may be any.

use crate::error::ClusterError;
use crate::lock::{DirLock, beside};
use crate::partial;
use crate::pidfile::clear_survivor;
use std::fs;
use std::path::Path;

/// Removes the cluster at `data_dir` with its log, after stopping a server that outlived its owner.
///
/// Needs no binaries, so it also clears what another major version made. Nothing there is no error.
pub async fn discard(data_dir: &Path) -> Result<(), ClusterError> {
    let data_dir = std::path::absolute(data_dir).map_err(ClusterError::io("resolving", data_dir))?;
    let lock = DirLock::take(&data_dir)?;
    clear_survivor(&data_dir).await?;
    remove_files(&data_dir)?;
    drop(lock);
    Ok(())
}

/// Removes a cluster at rest with everything that was put beside it. The caller holds its lock.
pub(crate) fn remove_files(data_dir: &Path) -> Result<(), ClusterError> {
    gone(fs::remove_dir_all(data_dir)).map_err(ClusterError::io("removing", data_dir))?;
    partial::clear(data_dir)?;
    for suffix in [".log", ".log.1", ".password", ".lock"] {
        let path = beside(data_dir, suffix);
        gone(fs::remove_file(&path)).map_err(ClusterError::io("removing", path))?;
    }
    Ok(())
}

fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
