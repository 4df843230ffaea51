//! What can go wrong with a cluster, in words that name the fix.

use crate::account::AccountError;
use std::io;
use std::path::PathBuf;

/// Why a cluster could not be made, opened, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Another process holds the data directory.
    #[error("{} is in use by process {pid}; stop that one first, or choose another directory", data_dir.display())]
    Held {
        /// The directory.
        data_dir: PathBuf,
        /// Who holds it; 0 where the lock file does not say.
        pid: u32,
    },
    /// A new cluster was asked for where something lies already.
    #[error("{} is not empty; choose an empty directory, or remove it first", data_dir.display())]
    NotEmpty {
        /// The directory.
        data_dir: PathBuf,
    },
    /// There is no cluster where one was to be opened.
    #[error("{} holds no Postgres cluster", data_dir.display())]
    NotACluster {
        /// The directory.
        data_dir: PathBuf,
    },
    /// The cluster was made by another major version.
    #[error("{} was made by PostgreSQL {made_by}, but the server binaries are {binaries}; point at binaries of {made_by}, or start with a fresh directory", data_dir.display())]
    OtherMajor {
        /// The directory.
        data_dir: PathBuf,
        /// What its `PG_VERSION` says.
        made_by: String,
        /// The major version of the binaries.
        binaries: u16,
    },
    /// The data directory belongs to somebody Postgres cannot run as.
    #[error("{} belongs to user id {uid}, which cannot run its server from here; change its owner, or run as that user", data_dir.display())]
    WrongOwner {
        /// The directory.
        data_dir: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The account that runs the server cannot reach a path.
    #[error("the server runs as an unprivileged user, who cannot pass through {}; use a directory that others may enter, such as one below /var/tmp or /var/lib", barrier.display())]
    Unreachable {
        /// What the server has to reach.
        path: PathBuf,
        /// The directory in the way.
        barrier: PathBuf,
    },
    /// A directory below `/var/tmp` that others own or can write.
    #[error("{} must be a directory that you own and others cannot write; remove it, or put the build directory where others may enter", dir.display())]
    NotPrivate {
        /// The directory.
        dir: PathBuf,
    },
    /// No account to run as.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// `initdb` failed.
    #[error("initdb failed: {output}")]
    Init {
        /// What it printed last.
        output: String,
    },
    /// A running server could not be copied.
    #[error("pg_basebackup failed: {output}; the server must let its superuser in for replication")]
    Backup {
        /// What it printed last.
        output: String,
    },
    /// The name or value of a setting cannot be passed to the server.
    #[error("`{name}` cannot be set: names are letters, digits, `_` and `.`, and a value holds no NUL")]
    BadSetting {
        /// The name as it was given.
        name: String,
    },
    /// The server ended before it took connections.
    #[error("the Postgres server ended while starting ({status}); its log {} ends with:\n{log_tail}", log.display())]
    StartFailed {
        /// How it ended.
        status: String,
        /// The log file.
        log: PathBuf,
        /// The last lines it wrote.
        log_tail: String,
    },
    /// The server did not take connections in time.
    #[error("the Postgres server took no connections within {seconds} s; its log {} ends with:\n{log_tail}", log.display())]
    StartTimeout {
        /// How long we waited.
        seconds: u64,
        /// The log file.
        log: PathBuf,
        /// The last lines it wrote.
        log_tail: String,
    },
    /// A server that outlived its `gk` does not end.
    #[error("the Postgres server {pid} of an earlier run still holds {} and does not end; stop it with `kill -9 {pid}`", data_dir.display())]
    Survivor {
        /// The directory.
        data_dir: PathBuf,
        /// The server's process.
        pid: i32,
    },
    /// Something in a cluster that a copy cannot stand for (a tablespace or a moved WAL directory).
    #[error("{} is neither file nor directory, so the cluster cannot be copied", path.display())]
    NotCopyable {
        /// What it is.
        path: PathBuf,
    },
    /// The operating system refused something.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl ClusterError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Held { .. } | Self::Survivor { .. } => "data_dir_in_use",
            Self::NotEmpty { .. } => "data_dir_not_empty",
            Self::NotACluster { .. } => "data_dir_not_a_cluster",
            Self::OtherMajor { .. } => "data_dir_other_major",
            Self::WrongOwner { .. } | Self::Unreachable { .. } => "data_dir_unreachable",
            Self::NotPrivate { .. } => "data_dir_not_private",
            Self::Account(_) => "postgres_no_account",
            Self::Init { .. } => "postgres_init_failed",
            Self::Backup { .. } => "postgres_backup_failed",
            Self::BadSetting { .. } => "postgres_bad_setting",
            Self::StartFailed { .. } | Self::StartTimeout { .. } => "postgres_start_failed",
            Self::NotCopyable { .. } => "data_dir_not_copyable",
            Self::Io { .. } => "data_dir_io",
        }
    }

    /// For `map_err`: what was being done to `path`.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
