//! A login in the form that its reader takes: URI, environment, JSON, JDBC, password file, service file, shell.

mod file;
mod merge;
mod shell;

use gk_shared::dsn::PgDsn;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::session::SessionView;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::error::CliError;

pub(crate) use file::{check_place, refuse_special, replace as replace_file, write as write_file};
pub(crate) use shell::{Shell, VarName};

/// How a login is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// postgresql://user:password@host:port/database, as psql and drivers take it
    #[default]
    Dsn,
    /// PGHOST=… lines, as env files hold them
    Env,
    /// One JSON object
    Json,
    /// url=, user= and password= lines, as JDBC takes them
    Jdbc,
    /// A line of ~/.pgpass
    Pgpass,
    /// A section of a service file, named like the target
    Service,
}

/// Flags that choose how a login is written, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct FormatFlags {
    /// How the login is written
    #[arg(long, value_name = "FORMAT", default_value = "dsn")]
    pub(crate) format: Format,
    /// Write a line for the shell to run: out=$(gk session create … --export) && eval "$out"
    #[arg(long, value_name = "SHELL", num_args = 0..=1, require_equals = true, default_missing_value = "bash", conflicts_with = "format")]
    pub(crate) export: Option<Shell>,
    /// Variable that --export sets
    #[arg(long, value_name = "NAME", default_value = "DSN", requires = "export")]
    pub(crate) var: VarName,
    /// Write into this file, of mode 0600, and nothing to stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<std::path::PathBuf>,
}

impl FormatFlags {
    /// The text for the reader.
    pub(crate) fn write(&self, view: &SessionView, dsn: &PgDsn) -> Result<Zeroizing<String>, CliError> {
        match self.export {
            Some(shell) => Ok(shell.assign(&self.var, dsn.to_uri().expose())),
            None => write(self.format, view, dsn),
        }
    }
}

impl FormatFlags {
    /// The whole text for a file that has `before` in it. Password and service files are shared with other logins:
    /// those stay, and what an earlier session left for the same place goes.
    pub(crate) fn merge(&self, before: &str, text: &str) -> Zeroizing<String> {
        match (self.export, self.format) {
            (None, Format::Pgpass) => merge::pgpass(before, text),
            (None, Format::Service) => merge::service(before, text),
            (None, Format::Dsn | Format::Env | Format::Json | Format::Jdbc) | (Some(_), _) => {
                Zeroizing::new(text.to_owned())
            }
        }
    }
}

fn write(format: Format, view: &SessionView, dsn: &PgDsn) -> Result<Zeroizing<String>, CliError> {
    let line = |text: &str| Zeroizing::new(format!("{text}\n"));
    Ok(match format {
        Format::Dsn => line(dsn.to_uri().expose()),
        Format::Env => env_lines(dsn),
        Format::Json => Zeroizing::new(format!("{}\n", as_json(view, dsn))),
        Format::Jdbc => {
            let jdbc = dsn.jdbc_url();
            Zeroizing::new(format!("url={}\nuser={}\npassword={}\n", jdbc.url, jdbc.user, jdbc.password.expose()))
        }
        Format::Pgpass => Zeroizing::new(dsn.pgpass_line().expose().to_owned()),
        Format::Service => {
            let stanza = dsn.service_stanza(&view.target);
            let stanza = stanza.map_err(|error| CliError::new(ErrorCode::OutputFailed, error.to_string()))?;
            Zeroizing::new(stanza.expose().to_owned())
        }
    })
}

fn env_lines(dsn: &PgDsn) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for (name, value) in dsn.env() {
        text.push_str(&format!("{name}={value}\n"));
    }
    text.push_str(&format!("PGPASSWORD={}\n", dsn.parts().password.expose()));
    text.push_str(&format!("DATABASE_URL={}\n", dsn.to_uri().expose()));
    text
}

fn as_json(view: &SessionView, dsn: &PgDsn) -> Value {
    let parts = dsn.parts();
    json!({
        "schema": "gk.credential.v1",
        "sessionId": view.session_id,
        "expiresAt": view.expires_at,
        "expiresInSeconds": view.expires_in_seconds,
        "host": parts.host,
        "port": parts.port,
        "database": parts.database,
        "user": parts.user,
        "password": parts.password.expose(),
        "dsn": dsn.to_uri().expose(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (SessionView, PgDsn) {
        let view = json!({
            "sessionId": "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV", "status": "ready", "target": "pg-local", "role": "app_read",
            "packVersion": "pg-1.0.0", "requester": "dana", "createdAt": "2026-11-22T00:00:00Z", "ttlSeconds": 60,
            "databaseUser": "gk_x", "correlationId": "req_x",
        });
        let dsn = PgDsn::parse("postgresql://gk_x:p%27w@db.example:5433/app?application_name=gk%3Ax");
        (serde_json::from_value(view).expect("a view"), dsn.expect("a dsn"))
    }

    #[test]
    fn every_format_holds_the_whole_login() {
        let (view, dsn) = sample();
        let written = |format| write(format, &view, &dsn).expect("writes").to_string();
        assert_eq!(written(Format::Dsn), "postgresql://gk_x:p%27w@db.example:5433/app?application_name=gk%3Ax\n");
        assert!(written(Format::Env).contains("PGPORT=5433\n") && written(Format::Env).contains("PGPASSWORD=p'w\n"));
        assert_eq!(written(Format::Pgpass), "db.example:5433:app:gk_x:p'w\n");
        assert!(written(Format::Service).starts_with("[pg-local]\nhost=db.example\n"));
        assert!(
            written(Format::Jdbc)
                .starts_with("url=jdbc:postgresql://db.example:5433/app?ApplicationName=gk%3Ax\nuser=gk_x\n")
        );
        let json: Value = serde_json::from_str(&written(Format::Json)).expect("is JSON");
        assert_eq!((json["port"].as_u64(), json["password"].as_str()), (Some(5433), Some("p'w")));
    }
}
