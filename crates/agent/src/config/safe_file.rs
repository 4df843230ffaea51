//! Files that may steer the agent or hold its secrets: who else can change or read them.
//!
//! Always holds: the file that was checked is the file that is read, because both happen on one open handle.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use gk_edge::client::Authorities;
use gk_shared::problem::ErrorCode;
use gk_shared::secret::{BearerToken, FileSecret, MAX_SECRET_FILE, Password, read_secret_file};

/// A configuration is never larger.
const MAX_CONFIG_FILE: u64 = 1024 * 1024;

/// Why a file is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileFault {
    pub(super) code: ErrorCode,
    pub(super) text: String,
}

impl FileFault {
    fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// What a file is for, which says how closed it has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Nobody else may change it.
    Config,
    /// Nobody else may read it.
    Secret,
}

/// Reads a configuration file.
pub(super) fn read_config(path: &Path) -> Result<String, FileFault> {
    let bytes = read(path, Care::Config, MAX_CONFIG_FILE)?;
    String::from_utf8(bytes)
        .map_err(|_| FileFault::new(ErrorCode::ConfigInvalid, format!("{} is not UTF-8 text", path.display())))
}

/// Reads certificates of authorities.
pub(super) fn read_authorities(path: &Path) -> Result<Authorities, FileFault> {
    let bytes = read(path, Care::Config, MAX_CONFIG_FILE)?;
    let unusable = |error| FileFault::new(ErrorCode::ConfigInvalid, format!("{}: {error}", path.display()));
    Authorities::from_pem(&bytes).map_err(unusable)
}

/// Reads a password.
pub(super) fn read_password(path: &Path) -> Result<Password, FileFault> {
    read_secret(path).map(Password::from)
}

/// Reads a token.
pub(super) fn read_token(path: &Path) -> Result<BearerToken, FileFault> {
    let secret = read_secret(path)?;
    BearerToken::parse(secret.expose())
        .map_err(|error| FileFault::new(ErrorCode::BadTokenFile, format!("{}: {error}", path.display())))
}

/// Reads the text of a secret file that has more than one line, such as a password file of libpq.
pub(super) fn read_secret_text(path: &Path) -> Result<zeroize::Zeroizing<String>, FileFault> {
    let bytes = zeroize::Zeroizing::new(read(path, Care::Secret, MAX_SECRET_FILE as u64)?);
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| FileFault::new(ErrorCode::ConfigInvalid, format!("{} is not UTF-8 text", path.display())))?;
    Ok(zeroize::Zeroizing::new(text.to_owned()))
}

/// Whether [`replace`] could work there.
pub(super) fn check_place(path: &Path) -> std::io::Result<()> {
    let (beside, file) = beside(path)?;
    drop(file);
    std::fs::remove_file(beside)
}

/// Writes a file of mode 0600 in the place of the one that is there, whole or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let (beside, mut file) = beside(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    File::open(directory(path))?.sync_all()
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An empty file of mode 0600 in the same directory.
fn beside(path: &Path) -> std::io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or_else(|| std::io::Error::other("it names no file"))?.to_string_lossy();
    let beside = directory(path).join(format!(".{name}.new"));
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok((beside, file))
}

/// Refuses an open secret file that others can reach.
pub(crate) fn check_secret(path: &Path, file: &File) -> Result<(), String> {
    check(path, file, Care::Secret).map_err(|fault| fault.text)
}

fn read_secret(path: &Path) -> Result<FileSecret, FileFault> {
    // One byte more than allowed, so that too large a file is told as such.
    let bytes = zeroize::Zeroizing::new(read(path, Care::Secret, MAX_SECRET_FILE as u64 + 1)?);
    read_secret_file(&bytes)
        .map_err(|error| FileFault::new(ErrorCode::BadTokenFile, format!("{}: {error}", path.display())))
}

fn read(path: &Path, care: Care, most: u64) -> Result<Vec<u8>, FileFault> {
    let failed = |error: std::io::Error| {
        FileFault::new(ErrorCode::ConfigInvalid, format!("{} cannot be read: {error}", path.display()))
    };
    let file = File::open(path).map_err(failed)?;
    check(path, &file, care)?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn check(path: &Path, file: &File, care: Care) -> Result<(), FileFault> {
    let unsafe_file = |text: String| Err(FileFault::new(ErrorCode::UnsafeConfig, format!("{} {text}", path.display())));
    let about = file
        .metadata()
        .map_err(|error| FileFault::new(ErrorCode::ConfigInvalid, format!("{}: {error}", path.display())))?;
    if !about.is_file() {
        return Err(FileFault::new(ErrorCode::ConfigInvalid, format!("{} is not a file", path.display())));
    }
    let me = rustix::process::geteuid().as_raw();
    if about.uid() != me && about.uid() != 0 {
        return unsafe_file(format!("belongs to user id {}; give it to root or to user id {me}", about.uid()));
    }
    too_open(about.mode() & 0o777, about.uid(), care).map_or(Ok(()), unsafe_file)
}

/// What is too open about a file with this mode and owner. systemd's LoadCredential hands a service its secret as a
/// file of root's with mode 0440, in a directory that only the service can enter.
fn too_open(mode: u32, owner: u32, care: Care) -> Option<String> {
    let credential = owner == 0 && mode & 0o337 == 0;
    match care {
        Care::Secret if mode & 0o077 != 0 && !credential => {
            Some(format!("can be reached by others (mode {mode:03o}); chmod 0600 it"))
        }
        Care::Config if mode & 0o022 != 0 => Some(format!("can be changed by others (mode {mode:03o}); chmod go-w it")),
        Care::Secret | Care::Config => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("mode set");
        file
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        assert_eq!(read_password(file("pw\n", 0o600).path()), Ok(Password::from("pw")));
        for mode in [0o640, 0o604, 0o620] {
            let fault = read_password(file("pw\n", mode).path()).expect_err("refused");
            assert_eq!(fault.code, ErrorCode::UnsafeConfig, "{mode:o}");
            assert!(fault.text.contains("chmod 0600"), "{}", fault.text);
        }
    }

    #[test]
    fn a_credential_of_systemd_is_taken_and_nobody_elses_group_file() {
        assert_eq!(too_open(0o440, 0, Care::Secret), None);
        for (mode, owner) in [(0o440, 1000), (0o640, 0), (0o660, 0), (0o444, 0), (0o450, 0)] {
            assert!(too_open(mode, owner, Care::Secret).is_some(), "{mode:o} of {owner}");
        }
    }

    #[test]
    fn a_configuration_that_others_can_change_is_refused() {
        assert_eq!(read_config(file("a = 1", 0o644).path()), Ok("a = 1".to_owned()));
        assert_eq!(read_config(file("a = 1", 0o664).path()).expect_err("refused").code, ErrorCode::UnsafeConfig);
    }

    #[test]
    fn a_file_that_is_none_or_holds_no_secret_is_refused() {
        let missing = read_password(Path::new("/nonexistent/x")).expect_err("refused");
        assert!(missing.text.contains("/nonexistent/x"), "{}", missing.text);
        let too_large = "x".repeat(MAX_SECRET_FILE + 1);
        for bad in ["", "\n", "a\nb\n", too_large.as_str()] {
            assert_eq!(read_password(file(bad, 0o600).path()).expect_err("refused").code, ErrorCode::BadTokenFile);
        }
        assert_eq!(read_token(file("hunter2", 0o600).path()).expect_err("refused").code, ErrorCode::BadTokenFile);
    }
}
