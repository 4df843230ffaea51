//! The secrets of `gk dev`'s own, the passwords of its logins and the audit log's key: made once, kept in files that only
//! their owner can read.
//!
//! What always holds: a password never stands in an argument list or in SQL; the server gets its SCRAM verifier.

use super::error::DevError;
use super::layout::DevDir;
use gk_shared::audit::note::SigningKey;
use gk_shared::secret::{Password, read_secret_file};
use std::fs;
use std::io;
use std::path::PathBuf;

/// A login of the private cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// The superuser, for making roles and databases and for nothing else.
    Superuser,
    /// The DBA of the demo database: no superuser, owns `app`, installs the helpers.
    AppOwner,
    /// Owns the ledger's tables and migrates them.
    LedgerOwner,
    /// What the control plane works as.
    LedgerRuntime,
    /// What the agent works as on the target.
    Agent,
}

impl Login {
    /// The role's name; the file of its password has the same.
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Superuser => "postgres",
            Self::AppOwner => "app_owner",
            Self::LedgerOwner => "ledger_owner",
            Self::LedgerRuntime => "ledger_runtime",
            Self::Agent => "gk_agent",
        }
    }

    /// Where the password lies.
    pub(crate) fn file(self, dir: &DevDir) -> PathBuf {
        dir.secrets().join(format!("{}.password", self.role()))
    }

    /// The password; a new one where there is none.
    pub(crate) fn password(self, dir: &DevDir) -> Result<Password, DevError> {
        let path = self.file(dir);
        match fs::read(&path) {
            Ok(bytes) => read_secret_file(&bytes).map(Password::from).map_err(|error| {
                let source = io::Error::other(error.to_string());
                DevError::io("reading a password from", path)(source)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let password = Password::generate(&mut |bytes| rand::Rng::fill_bytes(&mut rand::rng(), bytes));
                dir.write(&path, password.expose().as_bytes())?;
                Ok(password)
            }
            Err(error) => Err(DevError::io("reading", path)(error)),
        }
    }

    /// What the server may know of the password.
    pub(crate) fn verifier(password: &Password) -> String {
        postgres_protocol::password::scram_sha_256(password.expose().as_bytes())
    }

    /// The same as an SQL literal: it is base64 and `$:` only, so there is nothing to escape.
    pub(crate) fn verifier_literal(password: &Password) -> String {
        format!("'{}'", Self::verifier(password))
    }
}

/// The key that signs the audit log; a new one where there is none.
pub(crate) fn audit_key(dir: &DevDir) -> Result<SigningKey, DevError> {
    let path = dir.secrets().join("audit.key");
    let unreadable = |error: String| DevError::io("reading the audit log's key from", &path)(io::Error::other(error));
    match fs::read(&path) {
        Ok(bytes) => {
            let text = read_secret_file(&bytes).map_err(|error| unreadable(error.to_string()))?;
            SigningKey::from_text(text.expose()).map_err(|error| unreadable(error.to_string()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate(&mut rand::rng());
            dir.write(&path, key.to_text().expose().as_bytes())?;
            Ok(key)
        }
        Err(error) => Err(DevError::io("reading", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_logs_key_is_made_once_and_then_kept() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DevDir::claim(tmp.path()).unwrap();
        let first = audit_key(&dir).unwrap().verifier("log");
        assert_eq!(audit_key(&dir).unwrap().verifier("log"), first);
        dir.write(&dir.secrets().join("audit.key"), b"hello").unwrap();
        assert!(audit_key(&dir).is_err());
    }

    #[test]
    fn a_password_is_made_once_and_then_kept() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DevDir::claim(tmp.path()).unwrap();
        let first = Login::AppOwner.password(&dir).unwrap();
        assert_eq!(first.expose().len(), Password::LENGTH);
        assert!(Login::AppOwner.password(&dir).unwrap() == first);
        assert!(Login::Agent.password(&dir).unwrap() != first);
        let literal = Login::verifier_literal(&first);
        assert!(literal.starts_with("'SCRAM-SHA-256$4096:") && !literal.contains(first.expose()));
    }
}
