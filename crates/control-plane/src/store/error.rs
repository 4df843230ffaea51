//! What can go wrong between the control plane and its ledger.

use gk_shared::problem::ErrorCode;
use tokio_postgres::error::SqlState;

/// Why the ledger did not do what was asked. What a caller did wrong is never in here: that is part of each answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it broke, or the server has no room.
    #[error("the ledger cannot be reached or has no room")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The audit event of a change could not be written, so the change was not made.
    #[error("the audit log cannot be written")]
    AuditUnavailable(#[source] tokio_postgres::Error),
    /// The server refused a statement.
    #[error("the ledger refused a statement")]
    Query(#[source] tokio_postgres::Error),
    /// A row holds what this binary cannot read.
    #[error("column {column} of {entity} cannot be read")]
    BadRow {
        /// What the row is of.
        entity: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The ledger was laid out by another version.
    #[error("the ledger's schema has version {found}, this binary knows version {known}")]
    SchemaMismatch {
        /// Version in the ledger; 0 for an empty database.
        found: i64,
        /// Version of the newest migration in this binary.
        known: i64,
    },
    /// A migration failed or does not match the one that was run before.
    #[error("the ledger's schema cannot be migrated")]
    Migration(#[source] Box<refinery::Error>),
}

impl StoreError {
    /// The stable code that it is answered with.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(_) => ErrorCode::LedgerUnavailable,
            Self::AuditUnavailable(_) => ErrorCode::AuditUnavailable,
            Self::Query(_) | Self::BadRow { .. } => ErrorCode::Internal,
            Self::SchemaMismatch { .. } | Self::Migration(_) => ErrorCode::SchemaMismatch,
        }
    }

    /// A statement that always gives a row gave none.
    pub(super) fn no_row() -> Self {
        Self::BadRow { entity: "answer", column: "all", source: "the statement gave no row".into() }
    }

    /// The failure of an INSERT into the audit log.
    pub(super) fn audit(error: tokio_postgres::Error) -> Self {
        // The log's own trouble (a lock, a disk, a resource) must not hold up an end; only a connection that is gone,
        // or a server that is going, says nothing about the log.
        let of_the_log =
            error.code().is_some_and(|state| !matches!(&state.code()[..2], "08") && !state.code().starts_with("57P"));
        if of_the_log {
            return Self::AuditUnavailable(error);
        }
        match Self::from(error) {
            Self::Query(error) => Self::AuditUnavailable(error),
            other @ (Self::Unavailable(_)
            | Self::AuditUnavailable(_)
            | Self::BadRow { .. }
            | Self::SchemaMismatch { .. }
            | Self::Migration(_)) => other,
        }
    }
}

/// Whether the connection is to blame, and not what was sent over it.
fn is_connection(error: &tokio_postgres::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(found) = cause {
        if found.is::<std::io::Error>() {
            return true;
        }
        cause = found.source();
    }
    error.is_closed()
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code() else {
            return if is_connection(&error) { Self::Unavailable(Box::new(error)) } else { Self::Query(error) };
        };
        if *state == SqlState::DISK_FULL {
            return Self::AuditUnavailable(error);
        }
        // Connection, login, no such database, resources, operator intervention, read-only, conflicts: the same request
        // may work later.
        match &state.code()[..2] {
            "08" | "28" | "3D" | "53" | "57" | "58" | "25" | "40" | "55" => Self::Unavailable(Box::new(error)),
            _ => Self::Query(error),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => Self::from(error),
            other => Self::Unavailable(Box::new(other)),
        }
    }
}
