//! Reads settings and secrets from files, and refuses files that somebody else could have written or read.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use gk_shared::problem::ErrorCode;
use gk_shared::secret::{FileSecret, MAX_SECRET_FILE, SecretFileError, read_secret_file};

/// More than any settings file has.
const MAX_SETTINGS: usize = 1024 * 1024;

/// Why a file is not used. Says where and why, never what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a file at all.
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    /// Nothing in it.
    #[error("{0} is empty")]
    Empty(PathBuf),
    /// Absurdly large.
    #[error("{path} is larger than {max} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is allowed.
        max: usize,
    },
    /// Not text.
    #[error("{0} is not UTF-8 text")]
    NotText(PathBuf),
    /// Somebody else can change it.
    #[error("{path} {fault}")]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is unsafe, and the fix.
        fault: String,
    },
    /// No secret in it.
    #[error("{path}: {source}")]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SecretFileError,
    },
}

impl FileError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unsafe { .. } => ErrorCode::UnsafeConfig,
            Self::Io { .. }
            | Self::NotAFile(_)
            | Self::Empty(_)
            | Self::TooLarge { .. }
            | Self::NotText(_)
            | Self::Secret { .. } => ErrorCode::ConfigInvalid,
        }
    }
}

/// Who may have touched a file of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Others may read it, nobody else may write it.
    Settings,
    /// Others may not even read it.
    Secret,
}

/// Reads a settings file as text.
///
/// # Errors
/// It is missing, no file, empty, too large, not UTF-8, or others can write it.
pub fn read_settings(path: &Path) -> Result<String, FileError> {
    let bytes = read(path, Care::Settings, MAX_SETTINGS)?;
    let text = String::from_utf8(bytes).map_err(|_| FileError::NotText(path.to_owned()))?;
    if text.trim().is_empty() { Err(FileError::Empty(path.to_owned())) } else { Ok(text) }
}

/// Reads a secret: one line, less its line end.
///
/// # Errors
/// It is missing or no single line of text, or others can read or write it.
pub fn read_secret(path: &Path) -> Result<FileSecret, FileError> {
    let bytes = zeroize::Zeroizing::new(read(path, Care::Secret, MAX_SECRET_FILE)?);
    read_secret_file(&bytes).map_err(|source| FileError::Secret { path: path.to_owned(), source })
}

/// Reads what everybody may know and nobody else may change, such as a certificate.
///
/// # Errors
/// It is missing, no file, too large, or others can write it.
pub(super) fn read_public(path: &Path) -> Result<Vec<u8>, FileError> {
    read(path, Care::Settings, MAX_SETTINGS)
}

/// Reads a secret of many lines, such as a private key.
///
/// # Errors
/// It is missing, no file, too large, or others can read or write it.
pub(super) fn read_secret_text(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, FileError> {
    read(path, Care::Secret, MAX_SECRET_FILE).map(zeroize::Zeroizing::new)
}

fn read(path: &Path, care: Care, max: usize) -> Result<Vec<u8>, FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    // Checked on the open file, so that it is the one that is read.
    let file = File::open(path).map_err(io)?;
    let about = file.metadata().map_err(io)?;
    if !about.is_file() {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    let me = rustix::process::geteuid().as_raw();
    if let Some(fault) = fault(about.mode(), about.uid(), me, care) {
        return Err(FileError::Unsafe { path: path.to_owned(), fault });
    }
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > max { Err(FileError::TooLarge { path: path.to_owned(), max }) } else { Ok(bytes) }
}

/// What is unsafe about a file with this mode and owner. A secret may be readable by its group: that is how services
/// are given one.
fn fault(mode: u32, owner: u32, me: u32, care: Care) -> Option<String> {
    let mode = mode & 0o777;
    if owner != me && owner != 0 {
        return Some(format!("belongs to user {owner}, who could change it: chown it to user {me} or root"));
    }
    match care {
        Care::Settings if mode & 0o022 != 0 => {
            Some(format!("can be written by others (mode {mode:04o}): chmod go-w it"))
        }
        Care::Secret if mode & 0o027 != 0 => {
            Some(format!("can be read or written by others (mode {mode:04o}): chmod 0600 it"))
        }
        Care::Settings | Care::Secret => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(dir: &tempfile::TempDir, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_settings_file_that_is_missing_a_directory_empty_binary_or_huge_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let cases = [
            (dir.path().join("none"), "No such file"),
            (dir.path().to_owned(), "is not a file"),
            (file(&dir, "empty", b" \n", 0o644), "is empty"),
            (file(&dir, "binary", b"\xff\xfe", 0o644), "is not UTF-8"),
            (file(&dir, "huge", &vec![b'#'; MAX_SETTINGS + 1], 0o644), "larger than"),
            (file(&dir, "open", b"x = 1", 0o666), "chmod go-w"),
            (file(&dir, "group", b"x = 1", 0o664), "chmod go-w"),
        ];
        for (path, says) in cases {
            let error = read_settings(&path).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_and_a_line_end_is_no_part_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = read_secret(&file(&dir, "open", b"hunter2\n", 0o644)).unwrap_err();
        assert_eq!(open.code(), ErrorCode::UnsafeConfig);
        assert!(!open.to_string().contains("hunter2"));
        assert_eq!(read_secret(&file(&dir, "good", b"hunter2\n", 0o640)).unwrap().expose(), "hunter2");
    }

    #[test]
    fn a_file_of_another_user_is_refused_unless_root_owns_it() {
        assert!(fault(0o600, 1001, 1000, Care::Secret).unwrap().contains("user 1001"));
        assert_eq!(fault(0o600, 0, 1000, Care::Secret), None);
        assert_eq!(fault(0o644, 1000, 1000, Care::Settings), None);
    }
}
