//! Reads a connection string, strictly: what would be guessed at or dropped is refused.

use super::{DsnError, DsnPart, DsnParts, PgDsn, SslMode};
use crate::secret::Password;

/// Postgres' port where none is given.
const DEFAULT_PORT: u16 = 5432;

impl PgDsn {
    /// Reads `postgresql://user:password@host:port/database?application_name=…&sslmode=…`.
    ///
    /// As with libpq the port may be missing (5432) and the database, too (the user's name).
    pub fn parse(uri: &str) -> Result<Self, DsnError> {
        let rest = ["postgresql://", "postgres://"].into_iter().find_map(|scheme| uri.strip_prefix(scheme));
        let (address, query) = split_at_first(rest.ok_or(DsnError::Scheme)?, '?');
        let (login, path) = split_at_first(address, '/');
        let (who, place) = login.split_once('@').ok_or(DsnError::Missing(DsnPart::User))?;
        let (user, password) = split_at_first(who, ':');
        let user = required(DsnPart::User, user)?;
        let (host, port) = host_and_port(place)?;
        let database = match path {
            "" => user.clone(),
            path => required(DsnPart::Database, path)?,
        };
        let (application_name, sslmode) = parameters(query)?;
        let password = Password::from(required(DsnPart::Password, password)?);
        Self::new(DsnParts { host, port, database, user, password, application_name, sslmode })
    }
}

/// The text before and after the first `mark`; the second is empty where there is no mark.
fn split_at_first(text: &str, mark: char) -> (&str, &str) {
    text.split_once(mark).unwrap_or((text, ""))
}

fn required(part: DsnPart, text: &str) -> Result<String, DsnError> {
    if text.is_empty() { Err(DsnError::Missing(part)) } else { decode(part, text) }
}

/// Takes `host:port`, `[::1]:port` or either without the port apart.
fn host_and_port(place: &str) -> Result<(String, u16), DsnError> {
    let (host, port, bracketed) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(DsnError::Host)?;
            (host, after, true)
        }
        None => {
            let end = place.find(':').unwrap_or(place.len());
            (&place[..end], &place[end..], false)
        }
    };
    let host = required(DsnPart::Host, host)?;
    // Brackets mark IPv6 and nothing else, so that one host has one spelling.
    if bracketed != host.contains(':') && !host.starts_with('/') {
        return Err(DsnError::Host);
    }
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| DsnError::Port)?
        }
        None if port.is_empty() => DEFAULT_PORT,
        Some(_) | None => return Err(DsnError::Port),
    };
    Ok((host, port))
}

/// Reads what follows the `?`.
fn parameters(query: &str) -> Result<(Option<String>, Option<SslMode>), DsnError> {
    let (mut application_name, mut sslmode) = (None, None);
    for pair in query.split('&').filter(|_| !query.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(DsnError::UnknownParameter)?;
        let twice = match decode(DsnPart::Parameters, key)?.as_str() {
            "application_name" => application_name.replace(decode(DsnPart::ApplicationName, value)?).is_some(),
            "sslmode" => sslmode.replace(decode(DsnPart::Parameters, value)?.parse()?).is_some(),
            _ => return Err(DsnError::UnknownParameter),
        };
        if twice {
            return Err(DsnError::GivenTwice);
        }
    }
    Ok((application_name, sslmode))
}

/// Undoes percent-encoding.
fn decode(part: DsnPart, text: &str) -> Result<String, DsnError> {
    let bad = DsnError::Encoding(part);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (rest.next().and_then(hex).ok_or(bad)?, rest.next().and_then(hex).ok_or(bad)?);
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| bad)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
