//! Files with a login in them: mode 0600 from the first byte, whole or not at all.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use gk_shared::problem::ErrorCode;
use zeroize::Zeroizing;

use crate::error::CliError;

/// Whether a secret could be written there; asked before anything is made that would have to go into it.
pub(crate) fn check_place(path: &Path) -> Result<(), CliError> {
    let directory = directory_of(path);
    let refused = |why: String| {
        let what = format!("cannot write {}: {why}", path.display());
        Err(CliError::new(ErrorCode::OutputFailed, what).next("Make the directory, or name another file."))
    };
    if !directory.is_dir() {
        return refused(format!("there is no directory {}", directory.display()));
    }
    refuse_wider(path)?;
    // Only a try tells for everybody, root and read-only file systems included. It is gone at once.
    match tempfile::NamedTempFile::new_in(directory) {
        Ok(_) => Ok(()),
        Err(error) => refused(format!("nothing can be written in {} ({})", directory.display(), error.kind())),
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Writes a secret into a file. One that others could read is not written over: they may hold it open.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), CliError> {
    refuse_wider(path)?;
    let attempt = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(directory_of(path))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt()
        .map_err(|error| CliError::new(ErrorCode::OutputFailed, format!("cannot write {}: {error}", path.display())))
}

/// Writes what `merge` makes of the file's present content; none where there is no file.
pub(crate) fn replace(path: &Path, merge: impl FnOnce(&str) -> Zeroizing<String>) -> Result<(), CliError> {
    refuse_wider(path)?;
    let before = match std::fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Zeroizing::new(String::new()),
        Err(error) => {
            return Err(CliError::new(ErrorCode::OutputFailed, format!("cannot read {}: {error}", path.display())));
        }
    };
    write(path, &merge(&before))
}

fn refuse_wider(path: &Path) -> Result<(), CliError> {
    refuse_special(path)?;
    match path.symlink_metadata() {
        Ok(facts) if facts.mode() & 0o077 != 0 => Err(not_over(path, "can be read by others")),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Refuses to put a file in the place of a directory, a link or a device, such as /dev/stdout.
pub(crate) fn refuse_special(path: &Path) -> Result<(), CliError> {
    match path.symlink_metadata() {
        Ok(facts) if !facts.is_file() => Err(not_over(path, "is no plain file")),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn not_over(path: &Path, how: &str) -> CliError {
    CliError::new(ErrorCode::UnsafeConfig, format!("{} {how}, so it is not written over", path.display()))
        .next("Remove it, or name another file.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_made_private_and_a_wide_one_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("dsn");
        write(&path, "one").expect("writes");
        write(&path, "two").expect("writes over its own");
        assert_eq!(path.metadata().expect("is there").mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        assert_eq!(write(&path, "three").expect_err("is wide").code(), Some(ErrorCode::UnsafeConfig));
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "two");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("links");
        assert!(write(&link, "four").is_err());
    }
}
