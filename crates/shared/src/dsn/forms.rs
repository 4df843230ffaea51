//! Writes a login in the forms that clients read: URI, environment, password file, service file, JDBC.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::{DsnError, DsnPart, PgDsn};
use crate::names::TargetName;
use crate::secret::{Password, SecretDsn, SecretText};

/// A login as JDBC takes it: the password is a property of its own, not part of the URL that drivers log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JdbcDsn {
    /// `jdbc:postgresql://host:port/database?…`, without user and password.
    pub url: String,
    /// The `user` property.
    pub user: String,
    /// The `password` property.
    pub password: Password,
}

impl PgDsn {
    /// The connection string that psql and every driver take.
    #[must_use]
    pub fn to_uri(&self) -> SecretDsn {
        let password = encode(self.parts().password.expose());
        self.uri(&format!(":{}", password.as_str())).as_str().into()
    }

    /// The connection string less the password: fit for a log.
    #[must_use]
    pub fn without_password(&self) -> String {
        self.uri("").as_str().to_owned()
    }

    fn uri(&self, password: &str) -> Zeroizing<String> {
        let parts = self.parts();
        let (user, database) = (encode(&parts.user), encode(&parts.database));
        let parameters = self.parameters("application_name");
        Zeroizing::new(format!(
            "postgresql://{}{password}@{}:{}/{}{parameters}",
            user.as_str(),
            self.uri_host(),
            parts.port,
            database.as_str()
        ))
    }

    fn uri_host(&self) -> String {
        let host = &self.parts().host;
        if host.contains(':') && !host.starts_with('/') {
            format!("[{host}]")
        } else {
            encode(host).as_str().to_owned()
        }
    }

    /// What follows the database: `?…` or nothing. JDBC writes the client's name in another way.
    fn parameters(&self, client_key: &str) -> String {
        let parts = self.parts();
        let client = parts.application_name.as_deref().map(|name| format!("{client_key}={}", encode(name).as_str()));
        let sslmode = parts.sslmode.map(|mode| format!("sslmode={mode}"));
        let pairs: Vec<String> = client.into_iter().chain(sslmode).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// The environment that libpq reads, less the password: that goes into a password file.
    #[must_use]
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let parts = self.parts();
        let mut pairs = vec![
            ("PGHOST", parts.host.clone()),
            ("PGPORT", parts.port.to_string()),
            ("PGDATABASE", parts.database.clone()),
            ("PGUSER", parts.user.clone()),
        ];
        pairs.extend(parts.application_name.clone().map(|name| ("PGAPPNAME", name)));
        pairs.extend(parts.sslmode.map(|mode| ("PGSSLMODE", mode.to_string())));
        pairs
    }

    /// The line of a password file (`PGPASSFILE`) for this login, with its line end.
    #[must_use]
    pub fn pgpass_line(&self) -> SecretText {
        let parts = self.parts();
        let mut line = Zeroizing::new(String::new());
        for field in [&parts.host, &parts.port.to_string(), &parts.database, &parts.user] {
            push_escaped(&mut line, field);
            line.push(':');
        }
        push_escaped(&mut line, parts.password.expose());
        line.push('\n');
        line.as_str().into()
    }

    /// The section `[name]` of a service file (`PGSERVICEFILE`). Such a file has no escapes, so a value with a
    /// blank at an end is refused.
    pub fn service_stanza(&self, name: &TargetName) -> Result<SecretText, DsnError> {
        let password = self.parts().password.expose();
        let mut text = Zeroizing::new(format!("[{name}]\n"));
        for (key, value) in self.env() {
            push_setting(&mut text, service_key(key), &value)?;
        }
        push_setting(&mut text, (DsnPart::Password, "password"), password)?;
        Ok(text.as_str().into())
    }

    /// The login for JDBC.
    #[must_use]
    pub fn jdbc_url(&self) -> JdbcDsn {
        let parts = self.parts();
        let (host, database) = (self.uri_host(), encode(&parts.database));
        let parameters = self.parameters("ApplicationName");
        JdbcDsn {
            url: format!("jdbc:postgresql://{host}:{}/{}{parameters}", parts.port, database.as_str()),
            user: parts.user.clone(),
            password: parts.password.clone(),
        }
    }
}

/// The key that a service file has for an environment variable.
fn service_key(variable: &str) -> (DsnPart, &'static str) {
    match variable {
        "PGHOST" => (DsnPart::Host, "host"),
        "PGPORT" => (DsnPart::Port, "port"),
        "PGDATABASE" => (DsnPart::Database, "dbname"),
        "PGUSER" => (DsnPart::User, "user"),
        "PGAPPNAME" => (DsnPart::ApplicationName, "application_name"),
        _ => (DsnPart::Parameters, "sslmode"),
    }
}

fn push_setting(text: &mut String, (part, key): (DsnPart, &str), value: &str) -> Result<(), DsnError> {
    if value.trim() != value {
        return Err(DsnError::Blank(part));
    }
    writeln!(text, "{key}={value}").expect("writing to a string cannot fail");
    Ok(())
}

/// In a password file `:` ends a field and `\` takes the next character as it is.
fn push_escaped(line: &mut String, field: &str) {
    for found in field.chars() {
        if matches!(found, ':' | '\\') {
            line.push('\\');
        }
        line.push(found);
    }
}

/// Percent-encodes all that could mean something in a URI.
fn encode(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(text.len()));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    encoded
}
