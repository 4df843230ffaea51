//! The `[tls]` table, and `plain_http`: what protects the port.
//!
//! Always holds: beyond the loopback interface nobody is answered in plain text unless the settings say that a proxy
//! stands before the port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gk_edge::server::{Material, ServerTls};

use super::files::{FileError, read_public, read_secret_text};
use super::keys::{Faults, Keys};

/// Who may be answered in plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    /// This machine alone.
    #[default]
    Loopback,
    /// A proxy that ends TLS, wherever it is; the network sees to it that nobody else reaches the port.
    BehindProxy,
}

impl PlainHttp {
    pub(super) fn read(keys: &mut Keys, faults: &mut Faults) -> Self {
        match keys.text("plain_http", faults).as_deref() {
            None | Some("loopback") => Self::Loopback,
            Some("behind_proxy") => Self::BehindProxy,
            Some(_) => {
                faults.add("plain_http", "expected \"loopback\" or \"behind_proxy\"");
                Self::Loopback
            }
        }
    }

    /// Refuses a port that would be readable over a network.
    pub(super) fn check(self, listen: SocketAddr, tls: bool, faults: &mut Faults) {
        match self {
            Self::Loopback if !tls && !listen.ip().is_loopback() => faults.add(
                "listen",
                format!(
                    "{listen} is not the loopback interface, where tokens could be read in plain HTTP: set tls.cert_file and \
                     tls.key_file; or, if a proxy that ends TLS stands before this port and nobody else reaches it, \
                     plain_http = \"behind_proxy\""
                ),
            ),
            Self::BehindProxy if tls => {
                faults.add("plain_http", "stands beside [tls], where this port speaks no plain HTTP: keep one of them");
            }
            Self::Loopback | Self::BehindProxy => {}
        }
    }
}

/// Reads the table and its files. `None` where the port speaks plain HTTP.
pub(super) fn read(mut keys: Keys, faults: &mut Faults) -> Option<Arc<ServerTls>> {
    let (chain, key) = (keys.path("cert_file", faults), keys.path("key_file", faults));
    keys.finish(&["cert_file", "key_file"], faults);
    let (chain, key) = match (chain, key) {
        (Some(chain), Some(key)) => (chain, key),
        (None, None) => return None,
        (Some(_), None) => {
            faults.add("tls.key_file", "is missing: the file with the certificate's private key, of mode 0600");
            return None;
        }
        (None, Some(_)) => {
            faults.add(
                "tls.cert_file",
                "is missing: the file with the certificate, and those that lead to its authority",
            );
            return None;
        }
    };
    let read = Files { chain, key };
    if let Err((name, error)) = read.material() {
        faults.add_as(error.code(), name, error);
        return None;
    }
    let made = ServerTls::new(Box::new(move || read.material().map_err(|(name, error)| format!("{name}: {error}"))));
    made.map(Arc::new).map_err(|error| faults.add("tls", error)).ok()
}

/// Where certificate and key lie.
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn material(&self) -> Result<Material, (&'static str, FileError)> {
        let public = |name: &'static str, file: &Path| read_public(file).map_err(|error| (name, error));
        Ok(Material {
            chain: public("tls.cert_file", &self.chain)?,
            key: read_secret_text(&self.key).map_err(|error| ("tls.key_file", error))?,
            client_authorities: None,
        })
    }
}
