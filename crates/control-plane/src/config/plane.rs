//! All settings of one control plane, from a TOML file and the environment.
//!
//! The environment wins over the file, because whoever starts the process is closer than whoever wrote the file. Every
//! fault is reported, not only the first.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gk_edge::server::ServerTls;
use gk_shared::problem::ErrorCode;
use gk_shared::ttl::Ttl;

use super::files::{FileError, read_settings};
use super::keys::{Fault, Faults, Keys};
use super::ledger::LedgerConfig;
use super::limits::Limits;
use super::log::LogConfig;
use super::tls::{AgentAuthority, PlainHttp};
use crate::notary::AuditConfig;
use crate::policy::Policy;
use crate::sinks::SinkConfig;

/// Where the control plane listens where nothing else is said.
pub const DEFAULT_PORT: u16 = 4000;
const KEYS: &[&str] = &["listen", "plain_http", "policy_file", "tls", "ledger", "session", "limits", "log", "audit"];

/// The environment: a process has one, a test makes its own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Settings of the control plane.
#[derive(Debug, Clone)]
pub struct PlaneConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// TLS on that port; without it, plain HTTP.
    pub tls: Option<Arc<ServerTls>>,
    /// What certifies agents; without it they show tokens.
    pub agents: Option<AgentAuthority>,
    /// Who may be answered in plain HTTP.
    pub plain_http: PlainHttp,
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
            tls: None,
            agents: None,
            plain_http: PlainHttp::default(),
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
        let (tls, agents) = super::tls::read(keys.table("tls", &mut faults), &mut faults);
        let plain_http = PlainHttp::read(&mut keys, &mut faults);
        let ledger = LedgerConfig::read(keys.table("ledger", &mut faults), environment, &mut faults);
        let (max_ttl, provision_deadline) = session(keys.table("session", &mut faults), environment, &mut faults);
        let limits = Limits::read(keys.table("limits", &mut faults), &mut faults);
        let log = LogConfig::read(keys.table("log", &mut faults), environment, &mut faults);
        let audit = AuditConfig::read(keys.table("audit", &mut faults), environment, &mut faults);
        let policy = policy(&mut keys, max_ttl, environment, &mut faults);
        keys.finish(KEYS, &mut faults);
        plain_http.check(listen, tls.is_some(), &mut faults);
        match (ledger, policy, faults.0) {
            (Some(ledger), Some(policy), faults) if faults.is_empty() => {
                Ok(Self { listen, tls, agents, plain_http, ledger, policy, provision_deadline, limits, log, audit })
            }
            (_, _, faults) => Err(ConfigError::Faults(faults)),
        }
    }

    /// What is not wrong but deserves a second look.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut found: Vec<String> =
            self.policy.findings().into_iter().map(|finding| format!("policy: {finding}")).collect();
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            found.push(format!(
                "listen: {} speaks plain HTTP beyond the loopback interface, because plain_http says that a proxy ends TLS before \
                 it: see to it that nobody else reaches this port",
                self.listen
            ));
        }
        found.extend(self.ledger.finding());
        let unsigned = |sink: &&SinkConfig| self.audit.signing_key.is_none() && sink.content.checkpoints();
        let nothing = |sink: &SinkConfig| {
            format!(
                "audit.sinks: \"{}\" is to have checkpoints, and there are none without audit.signing_key_file",
                sink.name
            )
        };
        found.extend(self.audit.sinks.iter().filter(unsigned).map(nothing));
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

/// What the file gave; if it cannot be used, a fault under the file's own word.
pub(super) fn keep_file<T>(result: Result<T, FileError>, key: &str, faults: &mut Faults) -> Option<T> {
    result.map_err(|error| faults.add_as(error.code(), key, error)).ok()
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
