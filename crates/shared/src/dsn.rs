//! Where a database is and how to log in there, in every form that clients read.
//!
//! Always holds: the host is one host, the port is not 0, no field is empty where a client would put a default of
//! its own, and no field has a control character; so no form written here can be cut short, read as two lines or
//! made to carry a further setting. The forms with the password in them are secrets by type.

mod forms;
mod parse;

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

use crate::secret::Password;

pub use forms::JdbcDsn;

/// How much TLS a client insists on; the words are libpq's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS only where plain text is refused.
    Allow,
    /// TLS where it is offered.
    Prefer,
    /// Always TLS, with any certificate.
    Require,
    /// Always TLS, with a certificate of a known authority.
    VerifyCa,
    /// Always TLS, with a certificate of a known authority for this host.
    VerifyFull,
}

impl SslMode {
    /// Every mode.
    pub const ALL: [Self; 6] =
        [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The word in a connection string.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for SslMode {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(DsnError::SslMode)
    }
}

/// The part of a connection string that an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnPart {
    /// Name, address or socket directory of the server.
    Host,
    /// The port.
    Port,
    /// The database.
    Database,
    /// The user.
    User,
    /// The password.
    Password,
    /// What `pg_stat_activity` calls the client.
    ApplicationName,
    /// Anything after the `?`.
    Parameters,
}

impl fmt::Display for DsnPart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Host => "host",
            Self::Port => "port",
            Self::Database => "database",
            Self::User => "user",
            Self::Password => "password",
            Self::ApplicationName => "application_name",
            Self::Parameters => "parameters",
        })
    }
}

/// Why there is no [`PgDsn`]. Says which part, never what stands there: it may be a misplaced password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DsnError {
    /// Not a URI of ours.
    #[error("a connection string starts with postgresql://")]
    Scheme,
    /// A part that is needed is not there or empty.
    #[error("the connection string has no {0}")]
    Missing(DsnPart),
    /// A `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("the {0} in the connection string is not percent-encoded rightly")]
    Encoding(DsnPart),
    /// A control character; none of the forms can carry one.
    #[error("the {0} has a control character")]
    Control(DsnPart),
    /// Neither one host name, nor an address, nor a socket directory.
    #[error("the host must be one host name, one IP address (IPv6 in brackets) or a socket directory")]
    Host,
    /// Not a port.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// Not one of libpq's words.
    #[error("sslmode must be one of disable, allow, prefer, require, verify-ca and verify-full")]
    SslMode,
    /// A parameter that is not understood here, so it cannot be kept.
    #[error("only the parameters application_name and sslmode are understood")]
    UnknownParameter,
    /// A parameter that stands there twice.
    #[error("application_name and sslmode may be given once each")]
    GivenTwice,
    /// A service file has no way to write this.
    #[error("the {0} starts or ends with a blank, which a service file cannot hold")]
    Blank(DsnPart),
}

impl DsnError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_dsn"
    }
}

/// What a [`PgDsn`] is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsnParts {
    /// Name, address (IPv6 without brackets) or, with a leading `/`, socket directory of the server.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// The password.
    pub password: Password,
    /// What `pg_stat_activity` shall call the client.
    pub application_name: Option<String>,
    /// How much TLS the client shall insist on; its own default if `None`.
    pub sslmode: Option<SslMode>,
}

impl DsnParts {
    /// True where the host has to stand in brackets.
    fn is_ipv6(&self) -> bool {
        self.host.contains(':') && !self.host.starts_with('/')
    }
}

/// A checked login to one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgDsn(DsnParts);

impl PgDsn {
    /// Checks `parts`.
    pub fn new(parts: DsnParts) -> Result<Self, DsnError> {
        let texts = [
            (DsnPart::Host, parts.host.as_str()),
            (DsnPart::Database, &parts.database),
            (DsnPart::User, &parts.user),
            (DsnPart::Password, parts.password.expose()),
        ];
        for (part, text) in texts.into_iter().chain(parts.application_name.as_deref().map(named_client)) {
            check_text(part, text)?;
        }
        if parts.port == 0 {
            return Err(DsnError::Port);
        }
        if is_host(&parts.host) { Ok(Self(parts)) } else { Err(DsnError::Host) }
    }

    /// What it is made of.
    #[must_use]
    pub const fn parts(&self) -> &DsnParts {
        &self.0
    }

    /// The same login with another client name.
    pub fn with_application_name(self, name: &str) -> Result<Self, DsnError> {
        Self::new(DsnParts { application_name: Some(name.to_owned()), ..self.0 })
    }
}

const fn named_client(name: &str) -> (DsnPart, &str) {
    (DsnPart::ApplicationName, name)
}

fn check_text(part: DsnPart, text: &str) -> Result<(), DsnError> {
    if text.is_empty() {
        return Err(DsnError::Missing(part));
    }
    if text.chars().any(char::is_control) { Err(DsnError::Control(part)) } else { Ok(()) }
}

/// One host: a comma would make libpq try two, and an odd character would end the host early somewhere.
fn is_host(host: &str) -> bool {
    if host.starts_with('/') {
        return !host.contains(',');
    }
    let named = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    named || host.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests;
