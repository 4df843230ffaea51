//! The `[ledger]` table: the address by file or in parts, the login, and TLS.

use std::path::{Path, PathBuf};

use gk_edge::postgres::Tls;
use gk_shared::dsn::SslMode;
use gk_shared::secret::{FileSecret, Password, SecretDsn};

use super::files::read_secret;
use super::keys::{Faults, Keys};
use super::ledger::{LedgerConfig, LedgerParts};
use super::plane::{Environment, keep_file};

const KEYS: &[&str] =
    &["url_file", "host", "port", "user", "database", "password_file", "connections", "sslmode", "sslrootcert"];

impl LedgerConfig {
    /// Reads the table and the files that it names.
    pub(super) fn read(mut keys: Keys, environment: Environment<'_>, faults: &mut Faults) -> Option<Self> {
        keys.no_secret("url", faults);
        keys.no_secret("password", faults);
        let pool = keys.number("connections", 2..=1000, faults).and_then(|size| usize::try_from(size).ok());
        let tls = tls(&mut keys, faults);
        let config = address(&mut keys, environment, faults);
        keys.finish(KEYS, faults);
        let config = config?.with_pool_size(pool.unwrap_or(Self::DEFAULT_POOL));
        match tls? {
            None => Some(config),
            Some(_) if config.says_tls() => {
                faults.add("ledger.sslmode", "TLS is set here and in the connection string: keep one of them");
                None
            }
            Some(tls) => Some(config.with_tls(tls)),
        }
    }
}

fn address(keys: &mut Keys, environment: Environment<'_>, faults: &mut Faults) -> Option<LedgerConfig> {
    let url_file = keys.path("url_file", faults);
    let url_file = environment("GK_LEDGER_URL_FILE").map(PathBuf::from).or(url_file);
    let password_file = keys.path("password_file", faults);
    let port = keys.number("port", 1..=65535, faults).and_then(|port| u16::try_from(port).ok());
    let mut text = |key| keys.text(key, faults).unwrap_or_default();
    let (host, user, database) = (text("host"), text("user"), text("database"));
    match url_file {
        Some(_) if !(host.is_empty() && user.is_empty() && database.is_empty() && password_file.is_none()) => {
            faults.add("ledger", "give either url_file, or host, user, database and password_file, not both");
            None
        }
        Some(file) => {
            let url = secret("ledger.url_file", &file, faults)?;
            keep(LedgerConfig::from_url(&SecretDsn::from(url)), "ledger.url_file", faults)
        }
        None if host.is_empty() && user.is_empty() && database.is_empty() => {
            faults.add("ledger", "no ledger is named: set ledger.url_file (or GK_LEDGER_URL_FILE), or host, user, database and password_file");
            None
        }
        None => {
            let password = match password_file {
                Some(file) => Some(Password::from(secret("ledger.password_file", &file, faults)?)),
                None => None,
            };
            let parts = LedgerParts { host, port: port.unwrap_or(5432), user, database, password };
            keep(LedgerConfig::from_parts(&parts), "ledger", faults)
        }
    }
}

/// What the table says of TLS: nothing, or something that can be used.
fn tls(keys: &mut Keys, faults: &mut Faults) -> Option<Option<Tls>> {
    let roots = keys.path("sslrootcert", faults);
    let Some(text) = keys.text("sslmode", faults) else {
        return match roots {
            None => Some(None),
            Some(_) => {
                faults.add("ledger.sslrootcert", "is looked at with sslmode = \"verify-full\" only");
                None
            }
        };
    };
    let mode = keep(text.parse::<SslMode>(), "ledger.sslmode", faults)?;
    keep(Tls::new(mode, roots.as_deref()), "ledger.sslmode", faults).map(Some)
}

fn secret(key: &str, file: &Path, faults: &mut Faults) -> Option<FileSecret> {
    keep_file(read_secret(file), key, faults)
}

fn keep<T, E: std::fmt::Display>(result: Result<T, E>, key: &str, faults: &mut Faults) -> Option<T> {
    result.map_err(|error| faults.add(key, error)).ok()
}
