//! The files of settings: read strictly, written whole or not at all.
//!
//! Always holds: a file that others may change is not obeyed; unknown keys are refused; a file that holds a secret has
//! mode 0600 from its first byte on.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use gk_edge::client::Authorities;
use gk_shared::names::{PackName, TargetName};
use gk_shared::ttl::Ttl;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::Entry;

/// No file of settings is larger.
const MOST_BYTES: u64 = 1024 * 1024;

/// Why a file of settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}: {cause}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// It does not say what it should.
    #[error("{}: {cause}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        cause: String,
    },
    /// Others may change it.
    #[error("{} {how}, so it is not obeyed", .path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What makes it unsafe.
        how: &'static str,
    },
    /// It cannot be written.
    #[error("cannot write {}: {cause}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

/// What may stand in for flags that are not given. The whole content of a project's `.gatekeeper.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// Target to get into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<TargetName>,
    /// Role to get there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<PackName>,
    /// How long.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "ttl_text")]
    pub(crate) ttl: Option<Ttl>,
}

impl Defaults {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The user's file: contexts, and defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFile {
    /// The context that is used where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// Defaults.
    #[serde(default, skip_serializing_if = "Defaults::is_empty")]
    pub(crate) defaults: Defaults,
    /// Contexts by name.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub(crate) contexts: std::collections::BTreeMap<String, Entry>,
}

/// The machine's file: an address for all its users, and defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemFile {
    /// The control plane that users of this machine work with.
    #[serde(default)]
    pub(crate) address: Option<String>,
    /// Authorities that its certificate may come from, beside the system's own.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Defaults.
    #[serde(default)]
    pub(crate) defaults: Defaults,
}

/// A ttl in a file is the text that people write after `--ttl`.
mod ttl_text {
    use gk_shared::ttl::Ttl;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(ttl: &Option<Ttl>, to: S) -> Result<S::Ok, S::Error> {
        match ttl {
            Some(ttl) => to.collect_str(ttl),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Ttl>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

/// Reads a file of settings; the default where there is none.
pub(crate) fn read_checked<T: DeserializeOwned + Default>(path: &Path) -> Result<T, ConfigError> {
    let Some(bytes) = read_bytes(path)? else { return Ok(T::default()) };
    let invalid = |cause: String| ConfigError::Invalid { path: path.to_owned(), cause };
    let text = String::from_utf8(bytes).map_err(|_| invalid("not valid text (UTF-8)".to_owned()))?;
    toml::from_str(&text).map_err(|error| invalid(error.to_string()))
}

/// Reads certificates of authorities: whoever may change them decides whom `gk` trusts.
pub(crate) fn read_authorities(path: &Path) -> Result<Authorities, ConfigError> {
    let missing = || ConfigError::Unreadable { path: path.to_owned(), cause: "there is no such file".to_owned() };
    let bytes = read_bytes(path)?.ok_or_else(missing)?;
    Authorities::from_pem(&bytes)
        .map_err(|error| ConfigError::Invalid { path: path.to_owned(), cause: error.to_string() })
}

/// Reads a file that others may not change; `None` where there is none.
fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    let unreadable =
        |error: std::io::Error| ConfigError::Unreadable { path: path.to_owned(), cause: error.to_string() };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let facts = file.metadata().map_err(unreadable)?;
    if let Some(how) = unsafe_because(facts.mode(), facts.uid()) {
        return Err(ConfigError::Unsafe { path: path.to_owned(), how });
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(ConfigError::Invalid { path: path.to_owned(), cause: "larger than 1 MiB".to_owned() });
    }
    Ok(Some(bytes))
}

/// What makes a file of settings one that others speak through.
fn unsafe_because(mode: u32, owner: u32) -> Option<&'static str> {
    let me = rustix::process::geteuid().as_raw();
    if owner != me && owner != 0 {
        Some("belongs to another user")
    } else if mode & 0o002 != 0 {
        Some("can be changed by every user")
    } else {
        None
    }
}

/// The project's file: the nearest one at or above the working directory.
pub(crate) fn find_project(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().map(|above| above.join(".gatekeeper.toml")).find(|path| path.is_file())
}

/// Writes a file of mode 0600 in a directory of mode 0700, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), ConfigError> {
    let attempt = || -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        // A temporary file has mode 0600 from the start.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(|error| ConfigError::Unwritable { path: path.to_owned(), cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_project_file_says_target_role_and_ttl_and_nothing_else() {
        let read = |text: &str| toml::from_str::<Defaults>(text);
        let good = read("target = 'pg'\nrole = 'app_read'\nttl = '15m'").expect("is good");
        assert_eq!(good.ttl.map(Ttl::as_secs), Some(900));
        for bad in ["address = 'https://evil.example'", "token = 'x'", "ttl = '15'", "target = 'a b'", "ttl = 15"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_everybody_may_change_is_not_obeyed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("config.toml");
        write_private(&path, b"current = 'dev'").expect("writes");
        assert_eq!(path.metadata().expect("is there").mode() & 0o777, 0o600);
        assert_eq!(read_checked::<UserFile>(&path).expect("reads").current.as_deref(), Some("dev"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("chmod");
        assert!(matches!(read_checked::<UserFile>(&path), Err(ConfigError::Unsafe { .. })));
    }
}
