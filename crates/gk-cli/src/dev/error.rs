//! Why `gk dev` ends without having been told to, in words that name the fix.

use gk_local_postgres::{ClusterError, FindError};
use gk_shared::problem::ErrorCode;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why `gk dev` failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DevError {
    /// No usable server binaries.
    #[error(transparent)]
    Postgres(#[from] FindError),
    /// The cluster could not be made, opened or started.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Another `gk dev` works in the directory.
    #[error("{} is in use by another gk dev (process {pid}, {})", dir.display(), where_it_listens(address.as_ref()))]
    Held {
        /// The data directory.
        dir: PathBuf,
        /// Who holds it; 0 where its lock file does not say.
        pid: u32,
        /// Where that one listens, once it does.
        address: Option<SocketAddr>,
    },
    /// The directory holds something else.
    #[error("{} is not empty and was not made by gk dev; nothing in it was touched", dir.display())]
    NotOurs {
        /// The data directory.
        dir: PathBuf,
    },
    /// No directory could be chosen.
    #[error("no home directory to keep the data in")]
    NoHome,
    /// The server's account cannot reach the directory.
    #[error("Postgres does not run as root, and the user it runs as cannot pass through {}", barrier.display())]
    Barred {
        /// The directory in the way.
        barrier: PathBuf,
    },
    /// A file of ours cannot be read or written.
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
    /// The address to listen on has another owner.
    #[error("{address} is taken by {holder}")]
    AddressInUse {
        /// The address.
        address: SocketAddr,
        /// Who has it, as far as can be seen.
        holder: String,
        /// One that is free.
        free: SocketAddr,
    },
    /// The address to listen on cannot be used at all.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address to listen on is not one of this machine alone.
    #[error("`{given}` is no address for gk dev: {fault}")]
    BadAddress {
        /// As given.
        given: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// A statement failed while the databases were set up.
    #[error("{doing}: {}", database_words(source))]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A part refused to start or ended by itself.
    #[error("{part}: {message}")]
    Part {
        /// Which part.
        part: &'static str,
        /// The code it gave.
        code: ErrorCode,
        /// What it said.
        message: String,
    },
}

impl DevError {
    /// The stable word for this error.
    #[must_use]
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::Postgres(_) => ErrorCode::PostgresNotFound,
            Self::Cluster(error) => cluster_code(error),
            Self::Held { .. } => ErrorCode::DirectoryHeld,
            Self::NotOurs { .. } => ErrorCode::DirectoryNotOurs,
            Self::NoHome | Self::Barred { .. } | Self::Io { .. } => ErrorCode::DirectoryUnusable,
            Self::AddressInUse { .. } | Self::Listen { .. } => ErrorCode::AddressInUse,
            Self::BadAddress { .. } => ErrorCode::Usage,
            Self::Sql { .. } => ErrorCode::PostgresFailed,
            Self::Part { code, .. } => *code,
        }
    }

    /// What to do next, where the case at hand knows better than the code's own words.
    #[must_use]
    pub(crate) fn next(&self) -> String {
        match self {
            Self::Postgres(_) => format!("{}; or pass --pg-bin DIR", gk_local_postgres::install_command()),
            Self::Held { pid, address: Some(_), .. } => {
                format!("it serves you already: gk target list. To start another: kill {pid}, or --data-dir OTHER")
            }
            Self::Held { pid, address: None, .. } => format!("wait for it, kill {pid}, or pass --data-dir OTHER"),
            Self::Barred { .. } => "--data-dir /var/lib/gatekeeper-dev, or run gk dev as an ordinary user".to_owned(),
            Self::AddressInUse { free, .. } => format!("gk dev --listen {free}"),
            Self::BadAddress { .. } => "--listen 127.0.0.1:4000, or --listen 127.0.0.1:0 for any free port".to_owned(),
            Self::Cluster(ClusterError::OtherMajor { .. }) => {
                "pass --pg-bin with the binaries that made it, or start anew: gk dev --fresh".to_owned()
            }
            Self::Sql { .. } => {
                "look into gk-dev.log and postgres.log in the data directory; gk dev --fresh starts anew".to_owned()
            }
            Self::Cluster(_)
            | Self::NotOurs { .. }
            | Self::NoHome
            | Self::Io { .. }
            | Self::Listen { .. }
            | Self::Part { .. } => self.code().next().to_owned(),
        }
    }

    /// For `map_err`: what was being done to `path`.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// For `map_err`: what was being done in a database.
    pub(crate) fn sql(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Sql { doing, source }
    }

    /// For `map_err`: a part that has no code of its own for what happened.
    pub(crate) fn part<E: std::error::Error>(part: &'static str, code: ErrorCode) -> impl FnOnce(E) -> Self {
        move |error| Self::Part { part, code, message: with_causes(&error) }
    }
}

const fn cluster_code(error: &ClusterError) -> ErrorCode {
    match error {
        ClusterError::Held { .. } => ErrorCode::DirectoryHeld,
        ClusterError::WrongOwner { .. }
        | ClusterError::Unreachable { .. }
        | ClusterError::NotPrivate { .. }
        | ClusterError::NotACluster { .. }
        | ClusterError::Io { .. } => ErrorCode::DirectoryUnusable,
        ClusterError::NotEmpty { .. } => ErrorCode::DirectoryNotOurs,
        ClusterError::OtherMajor { .. }
        | ClusterError::Account(_)
        | ClusterError::Init { .. }
        | ClusterError::BadSetting { .. }
        | ClusterError::StartFailed { .. }
        | ClusterError::StartTimeout { .. }
        | ClusterError::Survivor { .. }
        | ClusterError::NotCopyable { .. }
        | ClusterError::Backup { .. } => ErrorCode::PostgresFailed,
    }
}

fn where_it_listens(address: Option<&SocketAddr>) -> String {
    address.map_or_else(|| "still starting".to_owned(), |address| format!("at http://{address}"))
}

/// The database's own message with its hint: the client library's says only "db error".
fn database_words(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || with_causes(error),
        |said| {
            let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}{hint}", said.message())
        },
    )
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        // Some errors repeat their cause in their own words.
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}
