//! Contexts: control planes by name, and which of them is the current one.
//!
//! Always holds: a token is saved under one context and belongs to that context's address alone. `gk dev` uses this, too:
//!
//! ```no_run
//! # fn example(address: gk_cli::client::Address, token: gk_shared::secret::BearerToken) -> Result<(), Box<dyn std::error::Error>> {
//! use gk_cli::context::{Context, ContextStore, MakeCurrent, TokenStore};
//!
//! let store = ContextStore::open(&gk_cli::env::Env::from_process())?;
//! let context = Context::new("dev".parse()?, address, TokenStore::File);
//! store.put(&context, MakeCurrent::IfNone)?;
//! store.put_token_file(&context, &token)?;
//! # Ok(()) }
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gk_shared::secret::BearerToken;
use serde::{Deserialize, Serialize};

use crate::client::{Address, AddressError};
use crate::config::{ConfigError, Paths, PathsError, UserFile, read_checked, write_private};
use crate::env::Env;

/// The name of a context: 1 to 63 ASCII letters, digits, `-` and `_`, so that it can name a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContextName(String);

/// Why a text is no name of a context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a context is named with 1 to 63 ASCII letters, digits, - and _")]
pub struct ContextNameError;

impl FromStr for ContextName {
    type Err = ContextNameError;

    fn from_str(text: &str) -> Result<Self, ContextNameError> {
        let good = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if good && (1..=63).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(ContextNameError) }
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// Where the token of a context is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum TokenStore {
    /// In the keyring of the desktop or the system
    Keyring,
    /// In a file of mode 0600
    File,
    /// Nowhere: it comes with each command from `GK_TOKEN_FILE` or `GK_TOKEN`
    None,
}

/// A context as the user's file holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The control plane.
    pub(crate) address: String,
    /// Where its token is.
    pub(crate) token: TokenStore,
    /// Authorities that its certificate may come from, beside the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// A control plane by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    name: ContextName,
    address: Address,
    token: TokenStore,
    ca_file: Option<PathBuf>,
}

/// Why an entry is no context.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    #[error(transparent)]
    Name(#[from] ContextNameError),
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl Context {
    /// A context of this name.
    #[must_use]
    pub fn new(name: ContextName, address: Address, token: TokenStore) -> Self {
        Self { name, address, token, ca_file: None }
    }

    /// The same, with a file of authorities that the control plane's certificate may come from.
    #[must_use]
    pub fn with_ca_file(self, ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, ..self }
    }

    /// Authorities that its certificate may come from, beside the system's own.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    pub(crate) fn from_entry(name: &str, entry: &Entry) -> Result<Self, EntryError> {
        let context = Self::new(name.parse()?, entry.address.parse()?, entry.token);
        Ok(context.with_ca_file(entry.ca_file.clone()))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ContextName {
        &self.name
    }

    /// The control plane.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where its token is kept.
    #[must_use]
    pub fn token_store(&self) -> TokenStore {
        self.token
    }
}

/// Whether a context that is saved becomes the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MakeCurrent {
    /// In any case.
    Always,
    /// Only where there is no current one.
    IfNone,
}

/// Why contexts cannot be read or saved.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no place for them.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] ConfigError),
}

/// The contexts of one user.
#[derive(Debug, Clone)]
pub struct ContextStore {
    paths: Paths,
}

impl ContextStore {
    /// The contexts that this environment points to.
    ///
    /// # Errors
    /// It points to none: `HOME` is not set.
    pub fn open(env: &Env) -> Result<Self, ContextError> {
        Ok(Self { paths: Paths::of(env)? })
    }

    /// Where things lie.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(crate) fn read(&self) -> Result<UserFile, ContextError> {
        Ok(read_checked(&self.paths.user_file())?)
    }

    /// Changes the user's file, under a lock, so that two commands at once lose nothing.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut UserFile) -> T) -> Result<T, ContextError> {
        let path = self.paths.user_file();
        let unwritable =
            |error: std::io::Error| ConfigError::Unwritable { path: path.clone(), cause: error.to_string() };
        std::fs::create_dir_all(self.paths.config_dir()).map_err(unwritable)?;
        let lock = std::fs::File::create(self.paths.config_dir().join(".lock")).map_err(unwritable)?;
        lock.lock().map_err(unwritable)?;
        let mut file = self.read()?;
        let result = change(&mut file);
        let text = toml::to_string_pretty(&file).expect("settings are texts under text keys");
        write_private(&path, text.as_bytes())?;
        Ok(result)
    }

    /// Saves a context.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn put(&self, context: &Context, current: MakeCurrent) -> Result<(), ContextError> {
        let ca_file = context.ca_file.clone();
        let entry = Entry { address: context.address.to_string(), token: context.token, ca_file };
        self.change(|file| {
            let name = context.name.to_string();
            file.contexts.insert(name.clone(), entry);
            let known = file.current.as_ref().is_some_and(|current| file.contexts.contains_key(current));
            match current {
                MakeCurrent::IfNone if known => {}
                MakeCurrent::Always | MakeCurrent::IfNone => file.current = Some(name),
            }
        })
    }

    /// Saves a token in the file of its context, of mode 0600.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put_token_file(&self, context: &Context, token: &BearerToken) -> Result<(), ContextError> {
        let line = gk_shared::secret::SecretText::from(token.clone());
        Ok(write_private(&self.paths.token_file(&context.name.0), line.expose().as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_context_becomes_the_current_one_and_a_later_one_only_when_asked() {
        let home = tempfile::tempdir().expect("a directory");
        let env = Env::of([("GK_CONFIG_DIR", "c"), ("GK_STATE_DIR", "s")], home.path());
        let store = ContextStore::open(&env).expect("opens");
        let context = |name: &str| {
            let address = "http://127.0.0.1:4000".parse().expect("an address");
            Context::new(name.parse().expect("a name"), address, TokenStore::File)
        };
        store.put(&context("one"), MakeCurrent::IfNone).expect("saves");
        store.put(&context("two"), MakeCurrent::IfNone).expect("saves");
        assert_eq!(store.read().expect("reads").current.as_deref(), Some("one"));
        store.put(&context("two"), MakeCurrent::Always).expect("saves");
        assert_eq!(store.read().expect("reads").current.as_deref(), Some("two"));
        assert_eq!(store.read().expect("reads").contexts.len(), 2);
    }

    #[test]
    fn a_name_can_never_leave_its_directory() {
        for bad in ["", "..", "a/b", "a b", "é"] {
            assert_eq!(bad.parse::<ContextName>(), Err(ContextNameError), "{bad}");
        }
    }
}
