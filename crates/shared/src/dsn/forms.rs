//! Writes a login in the forms that clients read: URI, environment, password file, service file, JDBC.
//!
//! Always holds: text with the password in it is built in room that never has to grow, so no copy is left behind.

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

/// One setting less the password, under both of its names.
struct Setting {
    part: DsnPart,
    variable: &'static str,
    key: &'static str,
    value: String,
}

impl PgDsn {
    /// The connection string that psql and every driver take.
    #[must_use]
    pub fn to_uri(&self) -> SecretDsn {
        self.uri(Some(&self.parts().password)).as_str().into()
    }

    /// The connection string less the password: fit for a log.
    #[must_use]
    pub fn without_password(&self) -> String {
        self.uri(None).as_str().to_owned()
    }

    fn uri(&self, password: Option<&Password>) -> Zeroizing<String> {
        let mut uri = self.room(3);
        uri.push_str("postgresql://");
        push_encoded(&mut uri, &self.parts().user);
        if let Some(password) = password {
            uri.push(':');
            push_encoded(&mut uri, password.expose());
        }
        uri.push('@');
        self.push_address(&mut uri, "application_name");
        uri
    }

    /// Writes `host:port/database?parameters`; what the client's name is called differs.
    fn push_address(&self, uri: &mut String, client_key: &str) {
        let parts = self.parts();
        if parts.is_ipv6() {
            uri.extend(["[", &parts.host, "]"]);
        } else {
            push_encoded(uri, &parts.host);
        }
        uri.extend([":", &parts.port.to_string(), "/"]);
        push_encoded(uri, &parts.database);
        let mut mark = "?";
        if let Some(name) = &parts.application_name {
            uri.extend([mark, client_key, "="]);
            push_encoded(uri, name);
            mark = "&";
        }
        if let Some(mode) = parts.sslmode {
            uri.extend([mark, "sslmode=", mode.as_str()]);
        }
    }

    /// A buffer for all the parts, each character written as up to `factor` ones.
    fn room(&self, factor: usize) -> Zeroizing<String> {
        /// More than all the fixed words of any form together.
        const WORDS: usize = 256;
        let parts = self.parts();
        let name = parts.application_name.as_deref().unwrap_or_default();
        let texts = [&parts.host, &parts.database, &parts.user, parts.password.expose(), name];
        let length: usize = texts.into_iter().map(str::len).sum();
        Zeroizing::new(String::with_capacity(WORDS + factor * length))
    }

    fn settings(&self) -> Vec<Setting> {
        let parts = self.parts();
        let setting = |part, variable, key, value| Setting { part, variable, key, value };
        let mut all = vec![
            setting(DsnPart::Host, "PGHOST", "host", parts.host.clone()),
            setting(DsnPart::Port, "PGPORT", "port", parts.port.to_string()),
            setting(DsnPart::Database, "PGDATABASE", "dbname", parts.database.clone()),
            setting(DsnPart::User, "PGUSER", "user", parts.user.clone()),
        ];
        if let Some(name) = parts.application_name.clone() {
            all.push(setting(DsnPart::ApplicationName, "PGAPPNAME", "application_name", name));
        }
        if let Some(mode) = parts.sslmode {
            all.push(setting(DsnPart::Parameters, "PGSSLMODE", "sslmode", mode.to_string()));
        }
        all
    }

    /// The environment that libpq reads, less the password: that goes into a password file.
    #[must_use]
    pub fn env(&self) -> Vec<(&'static str, String)> {
        self.settings().into_iter().map(|setting| (setting.variable, setting.value)).collect()
    }

    /// The line of a password file (`PGPASSFILE`) for this login, with its line end.
    #[must_use]
    pub fn pgpass_line(&self) -> SecretText {
        let parts = self.parts();
        // libpq looks a socket up under its path or as `localhost`, depending on how it was built.
        let host = if parts.host.starts_with('/') { "*" } else { &parts.host };
        let mut line = self.room(2);
        for field in [host, &parts.port.to_string(), &parts.database, &parts.user] {
            push_escaped(&mut line, field);
            line.push(':');
        }
        push_escaped(&mut line, parts.password.expose());
        line.push('\n');
        line.as_str().into()
    }

    /// The section `[name]` of a service file (`PGSERVICEFILE`), password included. Such a file has no escapes, so
    /// a value with a blank at an end is refused.
    pub fn service_stanza(&self, name: &TargetName) -> Result<SecretText, DsnError> {
        let mut text = self.room(1);
        text.extend(["[", name.as_str(), "]\n"]);
        for setting in self.settings() {
            push_setting(&mut text, setting.part, setting.key, &setting.value)?;
        }
        push_setting(&mut text, DsnPart::Password, "password", self.parts().password.expose())?;
        Ok(text.as_str().into())
    }

    /// The login for JDBC.
    #[must_use]
    pub fn jdbc_url(&self) -> JdbcDsn {
        let mut url = String::from("jdbc:postgresql://");
        self.push_address(&mut url, "ApplicationName");
        let parts = self.parts();
        JdbcDsn { url, user: parts.user.clone(), password: parts.password.clone() }
    }
}

fn push_setting(text: &mut String, part: DsnPart, key: &str, value: &str) -> Result<(), DsnError> {
    if value.trim() != value {
        return Err(DsnError::Blank(part));
    }
    text.extend([key, "=", value, "\n"]);
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
fn push_encoded(uri: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
}
