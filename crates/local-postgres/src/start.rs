//! From a cluster at rest to a server that takes connections.

use crate::cluster::{Cluster, last_lines, prepare_command};
use crate::error::ClusterError;
use crate::pidfile::{PidFile, clear_survivor};
use crate::server::Server;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Between two looks at whether the server is ready.
const POLL: Duration = Duration::from_millis(5);
/// A log longer than this is set aside at the next start.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// How a server is started.
#[derive(Debug, Clone)]
pub struct StartOptions {
    settings: Vec<(String, String)>,
    port: Option<u16>,
    patience: Duration,
    own_group: bool,
    env: Vec<(String, String)>,
}

impl Default for StartOptions {
    /// A free port, the settings of the cluster's own files, and a minute to start (crash recovery takes time).
    fn default() -> Self {
        Self { settings: Vec::new(), port: None, patience: Duration::from_secs(60), own_group: false, env: Vec::new() }
    }
}

impl StartOptions {
    /// Adds a setting, such as `("max_connections", "200")`. It shows in `ps`: never a secret.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a variable to the server's environment, which holds little else. It shows in `/proc`: never a secret.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Listens on this port instead of a free one.
    #[must_use]
    pub fn on_port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// Listens on a free port again.
    #[must_use]
    pub fn on_any_port(self) -> Self {
        Self { port: None, ..self }
    }

    /// Waits this long for the server to take connections.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Keeps the terminal's Ctrl-C from the server, so that its owner can end what uses it first.
    #[must_use]
    pub fn in_own_process_group(self) -> Self {
        Self { own_group: true, ..self }
    }
}

impl Cluster {
    /// Starts the server and returns when it takes connections.
    ///
    /// A server that outlived an earlier run of ours on this data directory is stopped first.
    pub async fn start(self, options: &StartOptions) -> Result<Server, ClusterError> {
        check_settings(&options.settings)?;
        clear_survivor(&self.data_dir).await?;
        let deadline = Instant::now() + options.patience;
        let mut cluster = self;
        loop {
            let log = open_log(&cluster.log_path())?;
            let seen = log.metadata().map_or(0, |meta| meta.len());
            let mut server = cluster.spawn(options, log)?;
            let status = match until_ready(&mut server, deadline).await {
                Readiness::Ready => return Ok(server),
                Readiness::Ended(status) => status,
                Readiness::Late => return Err(too_late(&server, seen, options)),
            };
            let said = log_since(server.log_path(), seen);
            if Instant::now() >= deadline || !worth_another_try(&said, options) {
                return Err(ClusterError::StartFailed {
                    status,
                    log: server.log_path().to_path_buf(),
                    log_tail: last_lines(&said, 8),
                });
            }
            tokio::time::sleep(POLL * 10).await;
            cluster = server.into_cluster();
        }
    }

    fn spawn(self, options: &StartOptions, log: File) -> Result<Server, ClusterError> {
        let port = options
            .port
            .map_or_else(free_port, Ok)
            .map_err(ClusterError::io("finding a free port for", &self.data_dir))?;
        let mut command = Command::new(self.binaries.program("postgres"));
        prepare_command(&mut command, &self.account);
        command.envs(options.env.iter().map(|(name, value)| (name, value)));
        command.arg("-D").arg(&self.data_dir);
        let port_text = port.to_string();
        let ours = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("port", &port_text),
            ("lc_messages", "C"),
            ("logging_collector", "off"),
        ];
        // Of two settings with one name the later counts, so ours cannot be replaced.
        for (name, value) in options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(ours) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        if options.own_group {
            command.process_group(0);
        }
        let also = log.try_clone().map_err(ClusterError::io("opening", self.log_path()))?;
        let child = command
            .stdout(log)
            .stderr(also)
            .spawn()
            .map_err(ClusterError::io("running", self.binaries.program("postgres")))?;
        Ok(Server::new(self, child, port))
    }
}

/// How the wait for a new server ended.
enum Readiness {
    Ready,
    Ended(String),
    Late,
}

async fn until_ready(server: &mut Server, deadline: Instant) -> Readiness {
    loop {
        if let Some(status) = server.exited() {
            return Readiness::Ended(status.to_string());
        }
        if PidFile::read(server.data_dir()).is_some_and(|file| file.ready && file.pid == server.pid()) {
            return Readiness::Ready;
        }
        if Instant::now() >= deadline {
            return Readiness::Late;
        }
        tokio::time::sleep(POLL).await;
    }
}

fn too_late(server: &Server, seen: u64, options: &StartOptions) -> ClusterError {
    let log_tail = last_lines(&log_since(server.log_path(), seen), 8);
    ClusterError::StartTimeout { seconds: options.patience.as_secs(), log: server.log_path().to_path_buf(), log_tail }
}

/// Two failures pass by themselves: somebody took the port between our look and the server's, and the backends of a
/// killed server have not all noticed yet that it is gone.
fn worth_another_try(said: &str, options: &StartOptions) -> bool {
    (options.port.is_none() && said.contains("Address already in use")) || said.contains("is still in use")
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn check_settings(settings: &[(String, String)]) -> Result<(), ClusterError> {
    let plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    match settings.iter().find(|(name, value)| !plain(name) || value.contains('\0')) {
        None => Ok(()),
        Some((name, _)) => Err(ClusterError::BadSetting { name: name.clone() }),
    }
}

/// Opens the log to append to it, private to its owner; a very long one is set aside first.
fn open_log(path: &Path) -> Result<File, ClusterError> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
        std::fs::rename(path, path.with_extension("log.1")).map_err(ClusterError::io("setting aside", path))?;
    }
    let opened = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.map_err(ClusterError::io("opening the log", path))
}

fn log_since(path: &Path, offset: u64) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let from = usize::try_from(offset).unwrap_or(0).min(bytes.len());
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_would_be_read_as_something_else_is_refused() {
        let check = |name: &str, value: &str| check_settings(&[(name.to_owned(), value.to_owned())]);
        assert!(check("max_connections", "200").is_ok());
        assert!(check("auto_explain.log_min_duration", "").is_ok());
        for (name, value) in [("", "x"), ("port=1 -c fsync", "off"), ("-D", "/"), ("fsync", "a\0b")] {
            assert_eq!(check(name, value).unwrap_err().code(), "postgres_bad_setting", "{name:?}");
        }
    }

    #[test]
    fn only_failures_that_pass_by_themselves_are_tried_again() {
        let any_port = StartOptions::default();
        let taken = "LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use";
        assert!(worth_another_try(taken, &any_port));
        assert!(!worth_another_try(taken, &StartOptions::default().on_port(5432)));
        assert!(worth_another_try("FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use", &any_port));
        assert!(!worth_another_try("FATAL:  unrecognized configuration parameter \"nonsense\"", &any_port));
    }
}
