//! `agent.toml`: which settings there are, and what each may hold.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gk_edge::client::Authorities;
use gk_shared::dsn::SslMode;
use gk_shared::names::TargetName;
use gk_shared::problem::ErrorCode;
use gk_shared::secret::Password;
use toml::de::DeTable;

use super::fault::Faults;
use super::safe_file::{FileFault, read_authorities, read_config, read_password, read_token};
use super::table::{Document, Found, Table};
use super::{Credential, Endpoint, IdentityFile, PlaneUrl, PlaneUrlError, TargetConfig, TokenSource};
use crate::provider::postgres::scram;
use crate::provider::postgres::tls::Tls;

const KEYS: &[&str] = &[
    "control_plane",
    "ca_file",
    "token_file",
    "identity_file",
    "slots",
    "listen",
    "poll_interval_ms",
    "state_dir",
    "[[target]]",
];
const TARGET_KEYS: &[&str] = &[
    "name",
    "host",
    "port",
    "standbys",
    "database",
    "user",
    "password_file",
    "sslmode",
    "sslrootcert",
    "advertise_host",
    "advertise_port",
    "advertise_sslmode",
    "scram_iterations",
];

/// What a file says. What it does not say is filled in from the environment or with the usual value.
#[derive(Default)]
pub(super) struct FileSettings {
    pub(super) control_plane: Option<PlaneUrl>,
    pub(super) authorities: Option<Authorities>,
    pub(super) credential: Option<Credential>,
    pub(super) targets: Vec<TargetConfig>,
    pub(super) slots: Option<u16>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) poll_interval: Option<Duration>,
    pub(super) state_dir: Option<PathBuf>,
    /// There are `[[target]]` tables, usable or not.
    pub(super) names_targets: bool,
    /// There is a `token_file` or an `identity_file`, usable or not.
    pub(super) names_credential: bool,
    /// There is a `control_plane`, usable or not.
    pub(super) names_plane: bool,
}

/// Reads the file.
pub(super) fn read(path: &Path, faults: &mut Faults) -> FileSettings {
    match read_config(path) {
        Ok(text) => parse(&Document { path, text: &text }, faults),
        Err(FileFault { code, text }) => {
            faults.add(code, path.display().to_string(), text);
            FileSettings { names_targets: true, names_credential: true, names_plane: true, ..FileSettings::default() }
        }
    }
}

/// Reads the file's text. Secret files that it names are read, too.
pub(super) fn parse(document: &Document<'_>, faults: &mut Faults) -> FileSettings {
    let root = match DeTable::parse(document.text) {
        Ok(root) => root,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            faults.add(ErrorCode::ConfigInvalid, document.place(at, "syntax"), error.message());
            return FileSettings {
                names_targets: true,
                names_credential: true,
                names_plane: true,
                ..FileSettings::default()
            };
        }
    };
    let mut table = Table::new(document, "", root);
    let mut settings = FileSettings::default();
    if let Some(found) = table.text("control_plane", faults) {
        settings.names_plane = true;
        settings.control_plane = plane(&found.value, found.place, faults);
    }
    if let Some(found) = table.path("ca_file", faults) {
        settings.authorities = authorities(&found.value, found.place, faults);
    }
    let token = table.path("token_file", faults);
    let identity = table.path("identity_file", faults);
    settings.names_credential = token.is_some() || identity.is_some();
    settings.credential = credential(token, identity, faults);
    settings.slots = table.number("slots", (1, 256), faults).and_then(|slots| slots.try_into().ok());
    settings.listen = table.parsed("listen", faults).map(|found| found.value);
    let interval = table.number("poll_interval_ms", (10, 60_000), faults);
    settings.poll_interval = interval.map(|ms| Duration::from_millis(ms.into()));
    settings.state_dir = table.path("state_dir", faults).map(|found| found.value);
    for one in table.tables("target", "target.", faults) {
        settings.names_targets = true;
        settings.targets.extend(target(one, faults));
    }
    table.finish(KEYS, faults);
    settings
}

/// The token or the certificate; both would leave open which of them speaks.
fn credential(
    token: Option<Found<PathBuf>>,
    identity: Option<Found<PathBuf>>,
    faults: &mut Faults,
) -> Option<Credential> {
    match (token, identity) {
        (None, None) => None,
        (None, Some(found)) => Some(Credential::Certificate(IdentityFile::new(found.value))),
        (Some(found), None) => match read_token(&found.value) {
            Ok(token) => Some(Credential::Token(TokenSource::File { path: found.value, token })),
            Err(FileFault { code, text }) => {
                faults.add(code, found.place, text);
                None
            }
        },
        (Some(_), Some(found)) => {
            faults.add(ErrorCode::ConfigInvalid, found.place, "stands beside token_file: keep one of them");
            None
        }
    }
}

/// Authorities beside the system's own.
pub(super) fn authorities(file: &Path, place: String, faults: &mut Faults) -> Option<Authorities> {
    read_authorities(file).map_err(|FileFault { code, text }| faults.add(code, place, text)).ok()
}

/// The control plane's address.
pub(super) fn plane(text: &str, place: String, faults: &mut Faults) -> Option<PlaneUrl> {
    let error = match text.parse() {
        Ok(url) => return Some(url),
        Err(error) => error,
    };
    let code = match error {
        PlaneUrlError::Insecure => ErrorCode::InsecureUrl,
        PlaneUrlError::Malformed => ErrorCode::ConfigInvalid,
    };
    faults.add(code, place, error.to_string());
    None
}

fn target(mut table: Table<'_, '_>, faults: &mut Faults) -> Option<TargetConfig> {
    table.require("name", "every target needs a name, as the control plane knows it", faults);
    table.require("database", "every target needs the database that sessions are for", faults);
    let name = table.parsed::<TargetName>("name", faults).map(|found| found.value);
    let host = table.text("host", faults).map_or("127.0.0.1".to_owned(), |found| found.value);
    let port = port(&mut table, "port", faults).unwrap_or(5432);
    let standbys = standbys(&mut table, &Endpoint { host: host.clone(), port }, faults);
    let database = table.text("database", faults).map(|found| found.value);
    let user = table.text("user", faults).map_or("gk_agent".to_owned(), |found| found.value);
    let password = password(&mut table, faults);
    let tls = tls(&mut table, faults);
    let advertise_host = table.text("advertise_host", faults).map_or_else(|| host.clone(), |found| found.value);
    let advertise_port = self::port(&mut table, "advertise_port", faults).unwrap_or(port);
    let advertise_sslmode = table.parsed::<SslMode>("advertise_sslmode", faults).map(|found| found.value);
    let scram_iterations =
        table.number("scram_iterations", (1, scram::MOST_ITERATIONS), faults).unwrap_or(scram::DEFAULT_ITERATIONS);
    table.finish(TARGET_KEYS, faults);
    Some(TargetConfig {
        name: name?,
        host,
        port,
        standbys,
        database: database?,
        user,
        password,
        tls: tls?,
        advertise_host,
        advertise_port,
        advertise_sslmode,
        scram_iterations,
    })
}

const STANDBY_KEYS: &[&str] = &["host", "port"];

/// The other servers of a target, each once.
fn standbys(table: &mut Table<'_, '_>, first: &Endpoint, faults: &mut Faults) -> Vec<Endpoint> {
    let mut found: Vec<Endpoint> = Vec::new();
    for mut one in table.tables("standbys", "target.standbys.", faults) {
        one.require("host", "every standby needs the host where it is", faults);
        let place = one.here("host");
        let host = one.text("host", faults).map(|found| found.value);
        let port = port(&mut one, "port", faults).unwrap_or(5432);
        one.finish(STANDBY_KEYS, faults);
        let Some(host) = host else { continue };
        let server = Endpoint { host, port };
        if server == *first || found.contains(&server) {
            faults.add(ErrorCode::ConfigInvalid, place, format!("{server} is named twice for this target"));
        } else {
            found.push(server);
        }
    }
    found
}

fn port(table: &mut Table<'_, '_>, key: &str, faults: &mut Faults) -> Option<u16> {
    table.number(key, (1, 65_535), faults).and_then(|port| port.try_into().ok())
}

fn password(table: &mut Table<'_, '_>, faults: &mut Faults) -> Option<Password> {
    let found = table.path("password_file", faults)?;
    match read_password(&found.value) {
        Ok(password) => Some(password),
        Err(FileFault { code, text }) => {
            faults.add(code, found.place, text);
            None
        }
    }
}

/// As libpq: TLS where the server offers it, unless the file says more.
fn tls(table: &mut Table<'_, '_>, faults: &mut Faults) -> Option<Tls> {
    let roots = table.path("sslrootcert", faults);
    let mode = table.parsed::<SslMode>("sslmode", faults);
    let place = mode.as_ref().map(|mode| mode.place.clone()).or(roots.as_ref().map(|roots| roots.place.clone()));
    let mode = mode.map_or(SslMode::Prefer, |mode| mode.value);
    match Tls::new(mode, roots.as_ref().map(|roots| roots.value.as_path())) {
        Ok(tls) => Some(tls),
        Err(error) => {
            faults.add(ErrorCode::ConfigInvalid, place.unwrap_or_default(), error.to_string());
            None
        }
    }
}
