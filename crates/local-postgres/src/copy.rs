//! Copies of a stopped cluster: much quicker than `initdb`.
//!
//! `std::fs::copy` asks the kernel to share blocks where the filesystem can, so on btrfs and XFS a copy is nearly free.

use crate::account::Account;
use crate::error::ClusterError;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Copies the directory `from` to `to`, which must not exist, and hands every file to `owner`.
pub(crate) fn copy_tree(from: &Path, to: &Path, owner: &Account) -> Result<(), ClusterError> {
    fs::DirBuilder::new().mode(0o700).create(to).map_err(ClusterError::io("creating", to))?;
    owner.take_over(to).map_err(ClusterError::io("changing the owner of", to))?;
    for entry in fs::read_dir(from).map_err(ClusterError::io("reading", from))? {
        let entry = entry.map_err(ClusterError::io("reading", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(ClusterError::io("reading", &source))?;
        if kind.is_dir() {
            copy_tree(&source, &target, owner)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(ClusterError::io("copying", &source))?;
            owner.take_over(&target).map_err(ClusterError::io("changing the owner of", &target))?;
        } else {
            return Err(ClusterError::NotCopyable { path: source });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_copy_has_the_same_files_and_modes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("base/1")).unwrap();
        fs::write(from.join("base/1/1259"), "rows").unwrap();
        fs::set_permissions(from.join("base/1/1259"), PermissionsExt::from_mode(0o600)).unwrap();
        copy_tree(&from, &to, &Account::Own).unwrap();
        assert_eq!(fs::read_to_string(to.join("base/1/1259")).unwrap(), "rows");
        assert_eq!(fs::metadata(to.join("base/1/1259")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_tablespace_link_is_refused_instead_of_shared() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("pg_tblspc")).unwrap();
        std::os::unix::fs::symlink("/elsewhere", from.join("pg_tblspc/16384")).unwrap();
        let refused = copy_tree(&from, &dir.path().join("to"), &Account::Own).unwrap_err();
        assert_eq!(refused.code(), "data_dir_not_copyable");
    }
}
