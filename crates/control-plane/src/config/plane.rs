//! All settings of one control plane, from a TOML file and the environment.
//!
//! The environment wins over the file, because whoever starts the process is closer than whoever wrote the file. Every
//! fault is reported, not only the first.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gk_shared::problem::ErrorCode;
use gk_shared::secret::{Password, SecretDsn};
use gk_shared::ttl::Ttl;

use super::files::{FileError, read_secret, read_settings};
use super::keys::{Fault, Faults, Keys};
use super::ledger::{LedgerConfig, LedgerParts};
use super::limits::Limits;
use super::log::LogConfig;
use crate::notary::AuditConfig;
use crate::policy::Policy;

/// Where the control plane listens where nothing else is said.
pub const DEFAULT_PORT: u16 = 4000;
const KEYS: &[&str] = &["listen", "policy_file", "ledger", "session", "limits", "log", "audit"];

/// The environment: a process has one, a test makes its own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Settings of the control plane.
#[derive(Debug, Clone)]
pub struct PlaneConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The ledger.
    pub ledger: LedgerConfig,
    /// Who may have what.
    pub policy: Policy,
    /// How long a session may take to be made, before it counts as failed.
    pub provision_deadline: Duration,
    /// What callers may do.
    pub limits: Limits,
    /// How to log.
    pub log: LogConfig,
    /// What signs the audit log.
    pub audit: AuditConfig,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Keys that cannot be used.
    #[error("{}", join(.0))]
    Faults(Vec<Fault>),
}

impl ConfigError {
    /// The stable word for this error.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::File(error) => error.code(),
            // Who may have touched a file comes before what stands in it.
            Self::Faults(faults) if faults.iter().any(|fault| fault.code == ErrorCode::UnsafeConfig) => {
                ErrorCode::UnsafeConfig
            }
            Self::Faults(_) => ErrorCode::ConfigInvalid,
        }
    }
}

fn join(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl PlaneConfig {
    /// Settings for a control plane in this process: everything else as by default.
    #[must_use]
    pub fn new(ledger: LedgerConfig, policy: Policy) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            ledger,
            policy,
            provision_deadline: Duration::from_secs(300),
            limits: Limits::default(),
            log: LogConfig::default(),
            audit: AuditConfig::default(),
        }
    }

    /// The longest that any session may last, if the settings say nothing else.
    #[must_use]
    pub fn default_max_ttl() -> Ttl {
        Ttl::from_minutes(240).expect("240 minutes are within the bounds of a ttl")
    }

    /// Reads `file`, the files that it names, and the environment.
    ///
    /// # Errors
    /// A file that cannot be used, or every fault in the settings.
    pub fn load(file: &Path, environment: Environment<'_>) -> Result<Self, ConfigError> {
        Self::parse(&read_settings(file)?, environment)
    }

    /// Reads the settings in `text`, the files that it names, and the environment.
    ///
    /// # Errors
    /// A file that cannot be used, or every fault in the settings.
    pub fn parse(text: &str, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let table = toml::from_str(text)
            .map_err(|error| ConfigError::Faults(vec![Fault::of_toml("settings", &error, text)]))?;
        let mut faults = Faults::default();
        let mut keys = Keys::root(table);
        let listen = listen(&mut keys, environment, &mut faults);
        let ledger = ledger(keys.table("ledger", &mut faults), environment, &mut faults);
        let (max_ttl, provision_deadline) = session(keys.table("session", &mut faults), environment, &mut faults);
        let limits = Limits::read(keys.table("limits", &mut faults), &mut faults);
        let log = LogConfig::read(keys.table("log", &mut faults), environment, &mut faults);
        let audit = AuditConfig::read(keys.table("audit", &mut faults), environment, &mut faults);
        let policy = policy(&mut keys, max_ttl, environment, &mut faults);
        keys.finish(KEYS, &mut faults);
        match (ledger, policy, faults.0) {
            (Some(ledger), Some(policy), faults) if faults.is_empty() => {
                Ok(Self { listen, ledger, policy, provision_deadline, limits, log, audit })
            }
            (_, _, faults) => Err(ConfigError::Faults(faults)),
        }
    }

    /// What is not wrong but deserves a second look.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut found: Vec<String> =
            self.policy.findings().into_iter().map(|finding| format!("policy: {finding}")).collect();
        if !self.listen.ip().is_loopback() {
            found.push(format!(
                "listen: {} is not the loopback interface, and this port speaks plain HTTP: put a TLS proxy before it",
                self.listen
            ));
        }
        found
    }
}

fn listen(keys: &mut Keys, environment: Environment<'_>, faults: &mut Faults) -> SocketAddr {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT));
    let mut listen = match keys.text("listen", faults) {
        None => default,
        Some(text) => text.parse().unwrap_or_else(|_| {
            faults.add(
                "listen",
                "expected an address and a port from 1 to 65535, such as \"127.0.0.1:4000\" or \"[::1]:4000\"",
            );
            default
        }),
    };
    if let Some(text) = environment("CONTROL_PLANE_PORT") {
        match text.parse() {
            Ok(port) => listen.set_port(port),
            Err(_) => faults.add("CONTROL_PLANE_PORT", "expected a port from 1 to 65535"),
        }
    }
    if listen.port() == 0 {
        faults.add("listen", "port 0 would be another one at each start: choose one from 1 to 65535");
    }
    listen
}

fn session(mut keys: Keys, environment: Environment<'_>, faults: &mut Faults) -> (Ttl, Duration) {
    let mut max_ttl = keys.parsed("max_ttl", faults).unwrap_or_else(PlaneConfig::default_max_ttl);
    if let Some(text) = environment("SESSION_MAX_TTL_MINUTES") {
        match text.parse().ok().and_then(|minutes| Ttl::from_minutes(minutes).ok()) {
            Some(ttl) => max_ttl = ttl,
            None => faults.add("SESSION_MAX_TTL_MINUTES", "expected whole minutes from 1 to 1440"),
        }
    }
    let bounds = Duration::from_secs(5)..=Duration::from_secs(3600);
    let deadline = keys.time("provision_deadline", bounds, faults).unwrap_or(Duration::from_secs(300));
    keys.finish(&["max_ttl", "provision_deadline"], faults);
    (max_ttl, deadline)
}

fn ledger(mut keys: Keys, environment: Environment<'_>, faults: &mut Faults) -> Option<LedgerConfig> {
    keys.no_secret("url", faults);
    keys.no_secret("password", faults);
    let pool = keys.number("connections", 2..=1000, faults);
    let url_file = keys.path("url_file", faults);
    let url_file = environment("GK_LEDGER_URL_FILE").map(PathBuf::from).or(url_file);
    let password_file = keys.path("password_file", faults);
    let port = keys.number("port", 1..=65535, faults).and_then(|port| u16::try_from(port).ok());
    let mut text = |key| keys.text(key, faults).unwrap_or_default();
    let (host, user, database) = (text("host"), text("user"), text("database"));
    keys.finish(&["url_file", "host", "port", "user", "database", "password_file", "connections"], faults);
    let config = match url_file {
        Some(_) if !(host.is_empty() && user.is_empty() && database.is_empty() && password_file.is_none()) => {
            faults.add("ledger", "give either url_file, or host, user, database and password_file, not both");
            None
        }
        Some(file) => {
            let url = secret("ledger.url_file", &file, faults)?;
            keep(LedgerConfig::from_url(&SecretDsn::from(url)), "ledger.url_file", faults)
        }
        None if host.is_empty() && user.is_empty() && database.is_empty() => {
            faults.add("ledger", "no ledger is named: set ledger.url_file (or GK_LEDGER_URL_FILE), or host, user, database and password_file");
            None
        }
        None => {
            let password = match password_file {
                Some(file) => Some(Password::from(secret("ledger.password_file", &file, faults)?)),
                None => None,
            };
            let parts = LedgerParts { host, port: port.unwrap_or(5432), user, database, password };
            keep(LedgerConfig::from_parts(&parts), "ledger", faults)
        }
    };
    let pool = pool.and_then(|size| usize::try_from(size).ok());
    config.map(|config| config.with_pool_size(pool.unwrap_or(LedgerConfig::DEFAULT_POOL)))
}

fn secret(key: &str, file: &Path, faults: &mut Faults) -> Option<gk_shared::secret::FileSecret> {
    keep_file(read_secret(file), key, faults)
}

/// What the file gave; if it cannot be used, a fault under the file's own word.
fn keep_file<T>(result: Result<T, FileError>, key: &str, faults: &mut Faults) -> Option<T> {
    result.map_err(|error| faults.add_as(error.code(), key, error)).ok()
}

fn keep<T, E: std::fmt::Display>(result: Result<T, E>, key: &str, faults: &mut Faults) -> Option<T> {
    result.map_err(|error| faults.add(key, error)).ok()
}

fn policy(keys: &mut Keys, ceiling: Ttl, environment: Environment<'_>, faults: &mut Faults) -> Option<Policy> {
    let file = keys.path("policy_file", faults);
    let Some(file) = environment("GK_POLICY_FILE").map(PathBuf::from).or(file) else {
        faults.add(
            "policy_file",
            "is missing: without rules nobody gets anything, so say so with an empty policy on purpose",
        );
        return None;
    };
    let text = keep_file(read_settings(&file), "policy_file", faults)?;
    let in_file = |fault: Fault| Fault { key: format!("{}: {}", file.display(), fault.key), ..fault };
    match Policy::parse(&text, ceiling) {
        Ok(policy) => Some(policy),
        Err(found) => {
            faults.0.extend(found.into_iter().map(in_file));
            None
        }
    }
}
