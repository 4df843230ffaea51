//! Where the ledger is and how to log in there.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use gk_edge::postgres::Tls;
use gk_shared::dsn::SslMode;
use gk_shared::secret::{Password, SecretDsn};
use tokio_postgres::config::Host;

/// Why the ledger's address is no good. Never repeats it: there is a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerAddressError {
    /// Not a connection string.
    #[error("it is not a Postgres connection string (postgresql://user:password@host:port/database)")]
    Malformed,
    /// A part is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// TLS that cannot be had.
    #[error("its sslmode or sslrootcert: {0}")]
    Tls(String),
}

/// The ledger's address, with its password: Debug shows neither.
#[derive(Clone)]
pub struct LedgerConfig {
    pg: tokio_postgres::Config,
    pool_size: usize,
    tls: Tls,
    /// The address itself said how TLS is to be.
    says_tls: bool,
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
        let (rest, words) = without_tls(url.expose());
        let pg: tokio_postgres::Config = rest.expose().parse().map_err(|_| LedgerAddressError::Malformed)?;
        let config = Self::from_pg(pg)?;
        let Some(words) = words else { return Ok(config) };
        let refused = |error: &dyn std::fmt::Display| LedgerAddressError::Tls(error.to_string());
        let mode = words.mode.map_or(Ok(SslMode::Prefer), |word| word.parse()).map_err(|error| refused(&error))?;
        let tls = Tls::new(mode, words.roots.as_deref().map(Path::new)).map_err(|error| refused(&error))?;
        Ok(Self { says_tls: true, ..config.with_tls(tls) })
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
        // A ledger that vanishes without a word must not hold a request longer than its own limit.
        pg.connect_timeout(Duration::from_secs(5)).keepalives_idle(Duration::from_secs(10));
        let tls = Tls::new(SslMode::Prefer, None).expect("libpq's own default needs no roots");
        pg.ssl_mode(tls.wanted());
        Ok(Self { pg, pool_size: Self::DEFAULT_POOL, tls, says_tls: false })
    }

    /// The same ledger, reached like this.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.pg.ssl_mode(tls.wanted());
        Self { tls, ..self }
    }

    /// Whether the address itself said how TLS is to be.
    pub(super) const fn says_tls(&self) -> bool {
        self.says_tls
    }

    /// How connections are protected.
    #[must_use]
    pub const fn tls(&self) -> &Tls {
        &self.tls
    }

    /// What is not wrong but deserves a second look: a ledger elsewhere that anybody in between could pretend to be.
    pub(super) fn finding(&self) -> Option<String> {
        let elsewhere = self.pg.get_hosts().iter().any(|host| match host {
            Host::Unix(_) => false,
            Host::Tcp(name) => name != "localhost" && !name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        });
        (elsewhere && !self.tls.checks_the_server()).then(|| {
            "ledger: it is on another machine and its certificate is not checked: set ledger.sslmode = \"verify-full\", and \
             ledger.sslrootcert where its authority is your own"
                .to_owned()
        })
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
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let port = self.pg.get_ports().first().copied().unwrap_or(5432);
        format!("{host}:{port}/{}", self.pg.get_dbname().unwrap_or_default())
    }
}

/// What a connection string says of TLS.
struct TlsWords {
    mode: Option<String>,
    roots: Option<String>,
}

/// Takes `sslmode` and `sslrootcert` out of a connection string: the driver knows three of the modes and no roots.
fn without_tls(url: &str) -> (SecretDsn, Option<TlsWords>) {
    let Some((head, query)) = url.split_once('?') else { return (SecretDsn::from(url), None) };
    let mut words = TlsWords { mode: None, roots: None };
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| match pair.split_once('=') {
            // Of two the last counts, as with libpq.
            Some(("sslmode", value)) => {
                words.mode = Some(value.to_owned());
                false
            }
            Some(("sslrootcert", value)) => {
                words.roots = Some(percent_decoded(value));
                false
            }
            Some(_) | None => true,
        })
        .collect();
    let rest = SecretDsn::new(format!("{head}?{}", rest.join("&")));
    let says = words.mode.is_some() || words.roots.is_some();
    (rest, says.then_some(words))
}

/// A path as a URL writes it: `%2F` is a slash. What is no such escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &after[2..]),
            None => (bytes.push(first), rest = after),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
    fn an_address_without_host_user_or_database_is_refused() {
        for (url, error) in [
            ("postgresql:///ledger?user=gk", LedgerAddressError::Missing("host")),
            ("postgresql://127.0.0.1/ledger", LedgerAddressError::Missing("user")),
            ("postgresql://gk@127.0.0.1", LedgerAddressError::Missing("database")),
            ("nonsense", LedgerAddressError::Malformed),
        ] {
            assert_eq!(LedgerConfig::from_url(&SecretDsn::from(url)).unwrap_err(), error, "{url}");
        }
    }

    #[test]
    fn a_connection_string_says_how_tls_is_to_be_as_libpq_reads_it() {
        let read = |query: &str| LedgerConfig::from_url(&SecretDsn::new(format!("postgresql://gk@db/l{query}")));
        for (query, mode) in
            [("", "prefer"), ("?sslmode=disable", "disable"), ("?connect_timeout=3&sslmode=require", "require")]
        {
            let config = read(query).unwrap();
            assert_eq!(format!("{:?}", config.tls()), format!("Tls({mode})"), "{query}");
            assert!(config.finding().is_some(), "a ledger on another machine is to be checked");
        }
        let checked = read("?sslmode=verify-full").unwrap();
        assert!(checked.tls().checks_the_server() && checked.finding().is_none());
        for bad in
            ["?sslmode=strict", "?sslmode=verify-ca", "?sslrootcert=/ca", "?sslmode=verify-full&sslrootcert=/none"]
        {
            assert!(matches!(read(bad), Err(LedgerAddressError::Tls(_))), "{bad}");
        }
        assert_eq!(format!("{:?}", read("?sslmode=disable&sslmode=require").unwrap().tls()), "Tls(require)");
        assert_eq!(percent_decoded("%2Fetc%2fca%zz%"), "/etc/ca%zz%");
    }
}
