//! Directories for what an unprivileged server has to reach.

use crate::account::Account;
use crate::error::ClusterError;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// `preferred` where the server's account can pass, else a directory of our own below `/var/tmp`.
///
/// A build directory below root's 0700 home is the usual reason. The name below `/var/tmp` is known to everybody, so
/// one that somebody else made there first is refused: programs are run from it.
pub fn reachable_dir(preferred: &Path) -> Result<PathBuf, ClusterError> {
    let account = Account::for_new_cluster()?;
    if account.barred_by(preferred).is_none() {
        fs::create_dir_all(preferred).map_err(ClusterError::io("creating", preferred))?;
        return Ok(preferred.to_path_buf());
    }
    let me = rustix::process::geteuid().as_raw();
    own_dir(&PathBuf::from(format!("/var/tmp/gatekeeper-{me}")), me)
}

fn own_dir(dir: &Path, me: u32) -> Result<PathBuf, ClusterError> {
    match fs::DirBuilder::new().mode(0o755).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(ClusterError::io("creating", dir)(error))
        }
        Ok(()) | Err(_) => {
            let meta = fs::symlink_metadata(dir).map_err(ClusterError::io("reading", dir))?;
            if meta.is_dir() && meta.uid() == me && meta.mode() & 0o022 == 0 {
                return Ok(dir.to_path_buf());
            }
            Err(ClusterError::NotPrivate { dir: dir.to_path_buf() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_others_could_have_filled_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let me = fs::metadata(root.path()).unwrap().uid();
        let dir = root.path().join("cache");
        own_dir(&dir, me).unwrap();
        own_dir(&dir, me).unwrap();
        assert_eq!(own_dir(&dir, me + 1).unwrap_err().code(), "data_dir_not_private");

        fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(own_dir(&dir, me).unwrap_err().code(), "data_dir_not_private");

        let link = root.path().join("link");
        std::os::unix::fs::symlink(root.path(), &link).unwrap();
        assert_eq!(own_dir(&link, me).unwrap_err().code(), "data_dir_not_private");
    }
}
