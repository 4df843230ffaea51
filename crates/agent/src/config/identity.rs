//! What the agent shows the control plane: a token, or a certificate that it renews by itself.

use std::path::{Path, PathBuf};

use gk_edge::certificate::{Validity, read_pem, validity};
use gk_shared::secret::BearerToken;
use zeroize::Zeroizing;

use super::safe_file::{self, FileFault};

/// What the agent shows.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A bearer token.
    Token(TokenSource),
    /// A certificate and its key, in a file that `gk-agent enroll` makes.
    Certificate(IdentityFile),
}

/// Where the agent's token comes from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// It was handed over.
    Given(BearerToken),
    /// It is in a file, which is read again when the token is refused: so it can be renewed without a restart.
    File {
        /// The file.
        path: PathBuf,
        /// What was in it at the start.
        token: BearerToken,
    },
}

impl TokenSource {
    /// The token as it was first read.
    #[must_use]
    pub fn token(&self) -> &BearerToken {
        match self {
            Self::Given(token) | Self::File { token, .. } => token,
        }
    }

    /// The token as it is now, if it is another one.
    #[must_use]
    pub fn renewed(&self, old: &BearerToken) -> Option<BearerToken> {
        match self {
            Self::Given(_) => None,
            Self::File { path, .. } => safe_file::read_token(path).ok().filter(|new| new != old),
        }
    }
}

/// Key and certificate, one file, so that there is never half a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFile {
    path: PathBuf,
}

/// What is in the file.
pub struct Identity {
    /// Key and certificate, PEM.
    pub pem: Zeroizing<String>,
    /// When the certificate holds.
    pub validity: Validity,
}

/// Why a file gives no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The agent was never enrolled here.
    #[error("there is no {}: enrol the agent (gk-agent enroll --token-file FILE)", .0.display())]
    Missing(PathBuf),
    /// It cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// It cannot be written.
    #[error("{} cannot be written: {cause}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
}

impl IdentityFile {
    /// The file at this path.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it now.
    ///
    /// # Errors
    /// It is not there, others can reach it, or it holds no certificate.
    pub fn read(&self) -> Result<Identity, IdentityError> {
        if !self.path.exists() {
            return Err(IdentityError::Missing(self.path.clone()));
        }
        let unusable = |text: String| IdentityError::Unusable(text);
        let pem = safe_file::read_secret_text(&self.path).map_err(|FileFault { text, .. }| unusable(text))?;
        let named = |error: &dyn std::fmt::Display| unusable(format!("{}: {error}", self.path.display()));
        let chain = read_pem(pem.as_bytes()).map_err(|error| named(&error))?;
        let validity = validity(&chain[0]).map_err(|error| named(&error))?;
        Ok(Identity { pem, validity })
    }

    /// Whether a file can be made there.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn check_place(&self) -> Result<(), IdentityError> {
        safe_file::check_place(&self.path)
            .map_err(|error| IdentityError::Unwritable { path: self.path.clone(), cause: error.to_string() })
    }

    /// Puts a new key and certificate in the place of the old ones: at every moment the file is whole.
    ///
    /// # Errors
    /// The directory or the file cannot be written.
    pub fn write(&self, key: &str, certificate: &str) -> Result<(), IdentityError> {
        let pem = Zeroizing::new(format!("{key}{certificate}"));
        safe_file::replace(&self.path, pem.as_bytes())
            .map_err(|error| IdentityError::Unwritable { path: self.path.clone(), cause: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const KEY: &str = include_str!("../../tests/agent/tls/key.pem");
    const CERTIFICATE: &str = include_str!("../../tests/agent/tls/certificate.pem");

    #[test]
    fn an_identity_is_one_private_file_that_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = IdentityFile::new(dir.path().join("identity.pem"));
        assert!(matches!(file.read(), Err(IdentityError::Missing(_))));
        for _ in 0..2 {
            file.write(KEY, CERTIFICATE).unwrap();
            assert_eq!(file.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert!(file.read().unwrap().pem.contains("PRIVATE KEY"));
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing is left beside it");
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(file.read(), Err(IdentityError::Unusable(text)) if text.contains("chmod 0600")));
        let nowhere = IdentityFile::new(dir.path().join("none/identity.pem"));
        assert!(matches!(nowhere.write(KEY, CERTIFICATE), Err(IdentityError::Unwritable { .. })));
    }
}
