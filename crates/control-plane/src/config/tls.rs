//! The `[tls]` table, and `plain_http`: what protects the port, and what certifies agents.
//!
//! Always holds: beyond the loopback interface nobody is answered in plain text unless the settings say that a proxy
//! stands before the port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gk_edge::pki::Authority;
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

/// What certifies agents.
#[derive(Debug, Clone)]
pub struct AgentAuthority {
    /// What signs.
    pub authority: Arc<Authority>,
    /// How long a certificate holds.
    pub life: Duration,
}

impl AgentAuthority {
    /// How long a certificate holds where nothing else is said: thirty days.
    pub const DEFAULT_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
}

const KEYS: &[&str] = &["cert_file", "key_file", "agent_ca_file", "agent_ca_key_file", "agent_cert_ttl"];

/// Reads the table and its files. Without a certificate the port speaks plain HTTP, and agents show tokens.
pub(super) fn read(mut keys: Keys, faults: &mut Faults) -> (Option<Arc<ServerTls>>, Option<AgentAuthority>) {
    let own = ["cert_file", "key_file"];
    let both = pair(&mut keys, own, "the certificate's private key, of mode 0600", faults);
    let agents = ["agent_ca_file", "agent_ca_key_file"];
    let agents = pair(&mut keys, agents, "the authority's private key, as `gk-control-plane agent-ca` made it", faults);
    let bounds = Duration::from_secs(10)..=Duration::from_secs(90 * 24 * 3600);
    let life = keys.time("agent_cert_ttl", bounds, faults).unwrap_or(AgentAuthority::DEFAULT_LIFE);
    keys.finish(KEYS, faults);
    let Some((chain, key)) = both else {
        if agents.is_some() {
            faults.add(
                "tls.agent_ca_file",
                "agents show certificates over TLS alone: set tls.cert_file and tls.key_file",
            );
        }
        return (None, None);
    };
    let authority = agents.as_ref().and_then(|(file, key)| authority(file, key, faults));
    let files = Files { chain, key, client_authorities: agents.map(|(file, _)| file) };
    if let Err((name, error)) = files.material() {
        faults.add_as(error.code(), name, error);
        return (None, None);
    }
    let made = ServerTls::new(Box::new(move || files.material().map_err(|(name, error)| format!("{name}: {error}"))));
    let tls = made.map(Arc::new).map_err(|error| faults.add("tls", error)).ok();
    (tls, authority.map(|authority| AgentAuthority { authority: Arc::new(authority), life }))
}

/// Two files that belong together: neither or both.
fn pair(keys: &mut Keys, [public, secret]: [&str; 2], what: &str, faults: &mut Faults) -> Option<(PathBuf, PathBuf)> {
    match (keys.path(public, faults), keys.path(secret, faults)) {
        (Some(public), Some(secret)) => Some((public, secret)),
        (None, None) => None,
        (Some(_), None) => {
            faults.add(format!("tls.{secret}"), format!("is missing: the file with {what}"));
            None
        }
        (None, Some(_)) => {
            faults.add(
                format!("tls.{public}"),
                "is missing: the file with the certificate, and those that lead to its authority",
            );
            None
        }
    }
}

fn authority(file: &Path, key: &Path, faults: &mut Faults) -> Option<Authority> {
    let certificates =
        read_public(file).map_err(|error| faults.add_as(error.code(), "tls.agent_ca_file", error)).ok()?;
    let key =
        read_secret_text(key).map_err(|error| faults.add_as(error.code(), "tls.agent_ca_key_file", error)).ok()?;
    Authority::new(&certificates, &key).map_err(|error| faults.add("tls.agent_ca_file", error)).ok()
}

/// Where the files of the port lie.
struct Files {
    chain: PathBuf,
    key: PathBuf,
    client_authorities: Option<PathBuf>,
}

impl Files {
    fn material(&self) -> Result<Material, (&'static str, FileError)> {
        let public = |name: &'static str, file: &Path| read_public(file).map_err(|error| (name, error));
        let authorities = self.client_authorities.as_deref().map(|file| public("tls.agent_ca_file", file));
        Ok(Material {
            chain: public("tls.cert_file", &self.chain)?,
            key: read_secret_text(&self.key).map_err(|error| ("tls.key_file", error))?,
            client_authorities: authorities.transpose()?,
        })
    }
}
