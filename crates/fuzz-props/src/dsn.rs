//! Connection strings: a field that could end early, carry a setting or steer a client elsewhere is access to another
//! database. The second reader is the driver's own parser.

use gk_shared::dsn::{DsnParts, PgDsn, SslMode};
use gk_shared::names::TargetName;
use gk_shared::secret::Password;

use crate::shape::{Dice, assert_message, text};

/// An arbitrary text that may be a connection string.
pub fn check(bytes: &[u8]) {
    match PgDsn::parse(&text(bytes)) {
        Ok(dsn) => every_form(&dsn),
        Err(error) => assert_message(&error.to_string()),
    }
}

/// Arbitrary fields, put together: the first bytes say port and mode, the rest is divided at 0xff.
pub fn check_built(bytes: &[u8]) {
    let mut dice = Dice(bytes);
    let (port, mode) = (u16::from(dice.byte()) << 8 | u16::from(dice.byte()), usize::from(dice.byte()));
    let mut fields = dice.0.split(|byte| *byte == 0xff).map(text);
    let mut field = || fields.next().unwrap_or_default();
    let (host, database, user, password) = (field(), field(), field(), Password::from(field()));
    let application_name = Some(field()).filter(|name| !name.is_empty());
    let sslmode = SslMode::ALL.get(mode % 7).copied();
    match PgDsn::new(DsnParts { host, port, database, user, password, application_name, sslmode }) {
        Ok(dsn) => every_form(&dsn),
        Err(error) => assert_message(&error.to_string()),
    }
}

fn every_form(dsn: &PgDsn) {
    let uri = dsn.to_uri();
    assert_eq!(PgDsn::parse(uri.expose()).as_ref(), Ok(dsn), "a connection string reads back");
    assert!(uri.expose().bytes().all(|byte| byte.is_ascii_graphic()), "and is one plain word");
    as_the_driver_reads_it(dsn);
    password_file(dsn);
    let parts = dsn.parts();
    let shown = dsn.without_password();
    let with = shown.replacen('@', &format!(":{}@", encoded(parts.password.expose())), 1);
    assert_eq!(with, uri.expose(), "less the password it is the same and no more");
    assert!(!dsn.env().iter().any(|(name, value)| *name == "PGPASSWORD" || value.contains(['\n', '\0'])));
    let jdbc = dsn.jdbc_url();
    assert_eq!((jdbc.user.as_str(), jdbc.password.expose()), (parts.user.as_str(), parts.password.expose()));
    assert!(!jdbc.url.contains('@') && jdbc.url.matches('?').count() <= 1);
    let name: TargetName = "pg-local".parse().expect("is a name");
    if let Ok(stanza) = dsn.service_stanza(&name) {
        let lines: Vec<&str> = stanza.expose().lines().collect();
        let settings = dsn.env().len() + 1;
        assert_eq!(lines.len(), 1 + settings, "a line a setting");
        assert!(lines[1..].iter().all(|line| line.contains('=')) && lines[0] == "[pg-local]");
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn as_the_driver_reads_it(dsn: &PgDsn) {
    let parts = dsn.parts();
    // The driver has no word for these three modes; `PgDsn` writes them for libpq.
    let odd = matches!(parts.sslmode, Some(SslMode::Allow | SslMode::VerifyCa | SslMode::VerifyFull));
    let driver = match dsn.to_uri().expose().parse::<tokio_postgres::Config>() {
        Ok(driver) => driver,
        Err(error) => return assert!(odd, "the driver refuses it: {error}"),
    };
    let host = match driver.get_hosts() {
        [tokio_postgres::config::Host::Tcp(host)] => host.clone(),
        [tokio_postgres::config::Host::Unix(path)] => path.display().to_string(),
        hosts => panic!("not one host: {hosts:?}"),
    };
    assert_eq!((host.as_str(), driver.get_ports()), (parts.host.as_str(), [parts.port].as_slice()));
    assert_eq!(driver.get_user(), Some(parts.user.as_str()));
    assert_eq!(driver.get_password(), Some(parts.password.expose().as_bytes()));
    assert_eq!(driver.get_dbname(), Some(parts.database.as_str()));
    assert_eq!(driver.get_application_name(), parts.application_name.as_deref());
}

/// The line of a password file, taken apart as libpq does it.
fn password_file(dsn: &PgDsn) {
    let (parts, line) = (dsn.parts(), dsn.pgpass_line());
    let line = line.expose().strip_suffix('\n').expect("ends its line");
    assert!(!line.contains('\n'));
    let (mut fields, mut escaped) = (vec![String::new()], false);
    for found in line.chars() {
        let last = fields.last_mut().expect("never empty");
        match (escaped, found) {
            (false, '\\') => escaped = true,
            (false, ':') => fields.push(String::new()),
            (_, found) => {
                last.push(found);
                escaped = false;
            }
        }
    }
    let host = if parts.host.starts_with('/') { "*" } else { &parts.host };
    let port = parts.port.to_string();
    assert_eq!(fields, [host, &port, &parts.database, &parts.user, parts.password.expose()]);
}
