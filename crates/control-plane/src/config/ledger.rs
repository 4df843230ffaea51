//! Where the ledger is and how to log in there.

use std::time::Duration;

use gk_shared::secret::{Password, SecretDsn};

/// Why the ledger's address is no good. Never repeats it: there is a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerAddressError {
    /// Not a connection string.
    #[error("it is not a Postgres connection string (postgresql://user:password@host:port/database)")]
    Malformed,
    /// A part is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// TLS is asked for, and this binary has none towards the ledger.
    #[error(
        "sslmode=require is not supported towards the ledger: use a Unix socket, the loopback interface or a TLS tunnel"
    )]
    TlsUnsupported,
}

/// The ledger's address, with its password: Debug shows neither.
#[derive(Clone)]
pub struct LedgerConfig {
    pg: tokio_postgres::Config,
    pool_size: usize,
}

/// The ledger's address in parts, as a settings file gives it.
#[derive(Debug, Clone)]
pub struct LedgerParts {
    /// Host name, address or socket directory.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Login role.
    pub user: String,
    /// Database.
    pub database: String,
    /// Password, unless the server asks for none.
    pub password: Option<Password>,
}

impl LedgerConfig {
    /// Connections to the ledger where nothing else is said.
    pub const DEFAULT_POOL: usize = 16;

    /// Takes a connection string.
    ///
    /// # Errors
    /// It cannot be read, or lacks host, user or database.
    pub fn from_url(url: &SecretDsn) -> Result<Self, LedgerAddressError> {
        let pg: tokio_postgres::Config = url.expose().parse().map_err(|_| LedgerAddressError::Malformed)?;
        Self::from_pg(pg)
    }

    /// Takes the parts of an address.
    ///
    /// # Errors
    /// A part is empty.
    pub fn from_parts(parts: &LedgerParts) -> Result<Self, LedgerAddressError> {
        let mut pg = tokio_postgres::Config::new();
        pg.port(parts.port);
        if !parts.host.is_empty() {
            pg.host(&parts.host);
        }
        pg.user(&parts.user).dbname(&parts.database);
        if let Some(password) = &parts.password {
            pg.password(password.expose());
        }
        Self::from_pg(pg)
    }

    fn from_pg(mut pg: tokio_postgres::Config) -> Result<Self, LedgerAddressError> {
        let missing = LedgerAddressError::Missing;
        if pg.get_hosts().is_empty() {
            return Err(missing("host"));
        }
        pg.get_user().filter(|user| !user.is_empty()).ok_or(missing("user"))?;
        pg.get_dbname().filter(|name| !name.is_empty()).ok_or(missing("database"))?;
        if pg.get_ssl_mode() == tokio_postgres::config::SslMode::Require {
            return Err(LedgerAddressError::TlsUnsupported);
        }
        // A ledger that vanishes without a word must not hold a request longer than its own limit.
        pg.connect_timeout(Duration::from_secs(5)).keepalives_idle(Duration::from_secs(10));
        Ok(Self { pg, pool_size: Self::DEFAULT_POOL })
    }

    /// The same ledger with at most this many connections at once, never fewer than two.
    #[must_use]
    pub fn with_pool_size(mut self, size: usize) -> Self {
        self.pool_size = size.max(2);
        self
    }

    /// The driver's own settings, without an `application_name`.
    #[must_use]
    pub fn pg(&self) -> &tokio_postgres::Config {
        &self.pg
    }

    /// Most connections at once.
    #[must_use]
    pub fn pool_size(&self) -> usize {
        self.pool_size
    }

    /// Host, port and database, for messages.
    #[must_use]
    pub fn shown(&self) -> String {
        let host = self.pg.get_hosts().first().map_or_else(String::new, |host| match host {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        });
        let port = self.pg.get_ports().first().copied().unwrap_or(5432);
        format!("{host}:{port}/{}", self.pg.get_dbname().unwrap_or_default())
    }
}

impl std::fmt::Debug for LedgerConfig {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "LedgerConfig({}, at most {} connections)", self.shown(), self.pool_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_errors_show_the_password() {
        let url = SecretDsn::from("postgresql://gk:s3cret@127.0.0.1:5433/ledger");
        let ledger = LedgerConfig::from_url(&url).unwrap();
        assert_eq!(format!("{ledger:?}"), "LedgerConfig(127.0.0.1:5433/ledger, at most 16 connections)");
        let bad = LedgerConfig::from_url(&SecretDsn::from("s3cret://x")).unwrap_err();
        assert!(!bad.to_string().contains("s3cret"));
    }

    #[test]
    fn an_address_without_host_user_or_database_or_with_tls_is_refused() {
        for (url, error) in [
            ("postgresql:///ledger?user=gk", LedgerAddressError::Missing("host")),
            ("postgresql://127.0.0.1/ledger", LedgerAddressError::Missing("user")),
            ("postgresql://gk@127.0.0.1", LedgerAddressError::Missing("database")),
            ("postgresql://gk@127.0.0.1/l?sslmode=require", LedgerAddressError::TlsUnsupported),
            ("nonsense", LedgerAddressError::Malformed),
        ] {
            assert_eq!(LedgerConfig::from_url(&SecretDsn::from(url)).unwrap_err(), error, "{url}");
        }
    }
}
