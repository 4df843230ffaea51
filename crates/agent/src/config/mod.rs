//! The agent's configuration: from a TOML file, or from the environment that libpq's programs read.
//!
//! Always holds: an [`AgentConfig`] is usable as it stands (every rule was checked where it was read); secrets come from
//! files or libpq's own variables, never from arguments; and all faults are told at once, each with its key and line.

mod environment;
mod fault;
mod file;
mod identity;
mod passfile;
mod read;
mod safe_file;
mod table;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use gk_edge::client::{Authorities, is_loopback};
use gk_shared::dsn::SslMode;
use gk_shared::names::TargetName;
use gk_shared::secret::{BearerToken, Password};

pub use environment::Environment;
pub use fault::{ConfigFault, Faults};
pub use identity::{Credential, Identity, IdentityError, IdentityFile, TokenSource};
pub use read::{load, parse};
pub(crate) use safe_file::check_secret;

/// Reads a token from a file that only its owner can reach.
///
/// # Errors
/// It is missing, others can reach it, or it holds no token.
pub(crate) fn read_token_file(path: &std::path::Path) -> Result<BearerToken, Faults> {
    safe_file::read_token(path).map_err(|fault| {
        let mut faults = Faults::default();
        faults.add(fault.code, "--token-file", fault.text);
        faults
    })
}

use crate::provider::postgres::scram;
use crate::provider::postgres::tls::Tls;

/// The port of the agent's own health and metrics.
pub const DEFAULT_PORT: u16 = 4001;
/// How long after a failed claim the next one comes, at the latest.
pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Sessions that are made at once.
pub const DEFAULT_SLOTS: u16 = 8;
/// Where configuration is looked for when no file is named.
pub const DEFAULT_FILE: &str = "/etc/gatekeeper/agent.toml";

/// Everything an agent has to know.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Where the control plane is.
    pub control_plane: PlaneUrl,
    /// Whose certificates it may show, beside the authorities that the system knows.
    pub authorities: Option<Authorities>,
    /// What the agent shows it.
    pub credential: Credential,
    /// The databases it serves.
    pub targets: Vec<TargetConfig>,
    /// How many sessions it makes at once. Ends have slots of their own, eight times as many.
    pub slots: u16,
    /// Where it answers `/livez`, `/readyz` and `/metrics`; nowhere if `None`.
    pub listen: Option<SocketAddr>,
    /// How long after a failed claim it tries again.
    pub poll_interval: Duration,
    /// Where it keeps what must outlive it: the audit log's last head that it saw. Without one that is kept in memory.
    pub state_dir: Option<PathBuf>,
}

impl AgentConfig {
    /// The usual settings for an agent inside another program: no listener of its own.
    #[must_use]
    pub fn new(control_plane: PlaneUrl, token: BearerToken, targets: Vec<TargetConfig>) -> Self {
        Self {
            control_plane,
            authorities: None,
            credential: Credential::Token(TokenSource::Given(token)),
            targets,
            slots: DEFAULT_SLOTS,
            listen: None,
            poll_interval: DEFAULT_POLL_INTERVAL,
            state_dir: None,
        }
    }

    /// Where the agent listens unless it is told otherwise.
    #[must_use]
    pub const fn default_listen(port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
    }
}

/// One database that sessions are made on.
#[derive(Debug, Clone)]
pub struct TargetConfig {
    /// Its name in the control plane.
    pub name: TargetName,
    /// Where the agent finds it: a host name, an address, or a socket directory.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its other servers: standbys, which may take its place.
    pub standbys: Vec<Endpoint>,
    /// The database in it.
    pub database: String,
    /// The agent's login there.
    pub user: String,
    /// Its password; none where the server asks for none.
    pub password: Option<Password>,
    /// How the agent's own connections are protected.
    pub tls: Tls,
    /// The host that requesters are given.
    pub advertise_host: String,
    /// The port that requesters are given.
    pub advertise_port: u16,
    /// The TLS that requesters are told to insist on.
    pub advertise_sslmode: Option<SslMode>,
    /// How many rounds a password's verifier takes, on both sides.
    pub scram_iterations: u32,
}

impl TargetConfig {
    /// A target as the agent and its requesters alike reach it, with the login `gk_agent` and without TLS.
    #[must_use]
    pub fn new(name: TargetName, host: &str, port: u16, database: &str, password: Option<Password>) -> Self {
        Self {
            name,
            host: host.to_owned(),
            port,
            standbys: Vec::new(),
            database: database.to_owned(),
            user: "gk_agent".to_owned(),
            password,
            tls: Tls::off(),
            advertise_host: host.to_owned(),
            advertise_port: port,
            advertise_sslmode: None,
            scram_iterations: scram::DEFAULT_ITERATIONS,
        }
    }
}

impl TargetConfig {
    /// All servers of it, the one that stands first in the configuration first. Which of them is the primary, they say.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> + '_ {
        let first = Endpoint { host: self.host.clone(), port: self.port };
        std::iter::once(first).chain(self.standbys.iter().cloned())
    }
}

/// Where one server of a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A host name, an address, or a socket directory.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

/// The address of a control plane: https, or http on this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct PlaneUrl(reqwest::Url);

impl PlaneUrl {
    /// The address of `path` there.
    #[must_use]
    pub fn at(&self, path: &str) -> reqwest::Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

impl fmt::Display for PlaneUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for PlaneUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Why a text is no address of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaneUrlError {
    /// Not a URL, or with parts that have no place in it.
    #[error("an address is https://HOST[:PORT], without user, password, query and fragment")]
    Malformed,
    /// Plain text over a network.
    #[error(
        "plain http:// is only for this machine (insecure_url): use https://, or an address of the loopback interface"
    )]
    Insecure,
}

impl std::str::FromStr for PlaneUrl {
    type Err = PlaneUrlError;

    fn from_str(text: &str) -> Result<Self, PlaneUrlError> {
        let url: reqwest::Url = text.parse().map_err(|_| PlaneUrlError::Malformed)?;
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || !url.has_host() || url.query().is_some() || url.fragment().is_some() {
            return Err(PlaneUrlError::Malformed);
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            "http" => Err(PlaneUrlError::Insecure),
            _ => Err(PlaneUrlError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in ["http://127.0.0.1:4000", "http://localhost:4000/", "http://[::1]:4000", "https://gk.example.com/x"]
        {
            assert!(good.parse::<PlaneUrl>().is_ok(), "{good}");
        }
        for bad in ["http://10.0.0.7:4000", "http://gk.example.com", "http://127.0.0.1.example.com"] {
            assert_eq!(bad.parse::<PlaneUrl>(), Err(PlaneUrlError::Insecure), "{bad}");
        }
        for bad in ["", "gk", "ftp://127.0.0.1", "https://me@gk.example.com", "https://gk.example.com?x=1", "https://"]
        {
            assert_eq!(bad.parse::<PlaneUrl>(), Err(PlaneUrlError::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_path_is_put_behind_the_base() {
        let at = |base: &str| base.parse::<PlaneUrl>().expect("an address").at("/v1/agent/heartbeat").to_string();
        assert_eq!(at("http://127.0.0.1:4000"), "http://127.0.0.1:4000/v1/agent/heartbeat");
        assert_eq!(at("https://example.com/gk/"), "https://example.com/gk/v1/agent/heartbeat");
    }
}
