//! Puts file and environment together. A file wins; the environment fills in what it does not say.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use gk_shared::dsn::SslMode;
use gk_shared::names::TargetName;
use gk_shared::problem::ErrorCode;
use gk_shared::secret::Password;

use super::environment::Environment;
use super::fault::Faults;
use super::file::{self, FileSettings};
use super::safe_file::{FileFault, read_token};
use super::{
    AgentConfig, DEFAULT_POLL_INTERVAL, DEFAULT_PORT, DEFAULT_SLOTS, PlaneUrl, TargetConfig, TokenSource, passfile,
};
use crate::provider::postgres::scram;

const DEFAULT_PLANE: &str = "http://127.0.0.1:4000";

/// Reads the configuration.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<AgentConfig, Faults> {
    let mut faults = Faults::default();
    let settings = file.map_or_else(FileSettings::default, |path| file::read(path, &mut faults));
    let config = merge(settings, environment, &mut faults);
    match config {
        Some(config) if faults.0.is_empty() => Ok(config),
        Some(_) | None => Err(faults),
    }
}

fn merge(settings: FileSettings, env: &Environment, faults: &mut Faults) -> Option<AgentConfig> {
    let control_plane = if settings.names_plane { settings.control_plane } else { plane(env, faults) };
    let token = if settings.names_token { settings.token } else { token(env, faults) };
    let targets = if settings.names_targets { settings.targets } else { target(env, faults).into_iter().collect() };
    refuse_doubles(&targets, faults);
    let port = number(env, "AGENT_PORT", (1, 65_535), faults).and_then(|port| port.try_into().ok());
    let listen: SocketAddr = match port {
        // A variable set for this start is nearer than the file.
        Some(port) => {
            settings.listen.map_or(AgentConfig::default_listen(port), |listen| SocketAddr::new(listen.ip(), port))
        }
        None => settings.listen.unwrap_or(AgentConfig::default_listen(DEFAULT_PORT)),
    };
    let interval =
        number(env, "AGENT_POLL_INTERVAL_MS", (10, 60_000), faults).map(|ms| Duration::from_millis(ms.into()));
    Some(AgentConfig {
        control_plane: control_plane?,
        token: token?,
        targets,
        slots: settings.slots.unwrap_or(DEFAULT_SLOTS),
        listen: Some(listen),
        poll_interval: interval.or(settings.poll_interval).unwrap_or(DEFAULT_POLL_INTERVAL),
    })
}

fn plane(env: &Environment, faults: &mut Faults) -> Option<PlaneUrl> {
    file::plane(env.get("GK_CONTROL_PLANE").unwrap_or(DEFAULT_PLANE), "GK_CONTROL_PLANE".to_owned(), faults)
}

fn token(env: &Environment, faults: &mut Faults) -> Option<TokenSource> {
    let Some(path) = env.get("GK_TOKEN_FILE") else {
        faults.add(
            ErrorCode::ConfigInvalid,
            "token_file",
            "an agent needs its token: set token_file or GK_TOKEN_FILE to the file that `gk agent enroll` wrote",
        );
        return None;
    };
    match read_token(Path::new(path)) {
        Ok(token) => Some(TokenSource::File { path: path.into(), token }),
        Err(FileFault { code, text }) => {
            faults.add(code, "GK_TOKEN_FILE", text);
            None
        }
    }
}

/// The one target that libpq's variables describe.
fn target(env: &Environment, faults: &mut Faults) -> Option<TargetConfig> {
    let name = match env.get("GK_TARGET").unwrap_or("pg-local").parse::<TargetName>() {
        Ok(name) => name,
        Err(error) => {
            faults.add(ErrorCode::ConfigInvalid, "GK_TARGET", error.to_string());
            return None;
        }
    };
    let host = env.get("PGHOST").unwrap_or("127.0.0.1").to_owned();
    let port = number(env, "PGPORT", (1, 65_535), faults).and_then(|port| port.try_into().ok()).unwrap_or(5432);
    let user = env.get("PGUSER").unwrap_or("gk_agent").to_owned();
    // As with libpq: without a database it is the one named like the user.
    let database = env.get("PGDATABASE").unwrap_or(&user).to_owned();
    if let Some(mode) = env.get("PGSSLMODE") {
        let checked = mode.parse::<SslMode>().map_err(|error| error.to_string()).and_then(plain_enough);
        if let Err(text) = checked {
            faults.add(ErrorCode::ConfigInvalid, "PGSSLMODE", text);
        }
    }
    let password = password(env, &passfile::Login { host: &host, port, database: &database, user: &user }, faults);
    Some(TargetConfig {
        name,
        advertise_host: host.clone(),
        advertise_port: port,
        advertise_sslmode: None,
        host,
        port,
        database,
        user,
        password,
        scram_iterations: scram::DEFAULT_ITERATIONS,
    })
}

fn password(env: &Environment, login: &passfile::Login<'_>, faults: &mut Faults) -> Option<Password> {
    if let Some(password) = env.get("PGPASSWORD") {
        return Some(Password::from(password));
    }
    match passfile::look_up(Path::new(env.get("PGPASSFILE")?), login) {
        Ok(found) => found,
        Err(FileFault { code, text }) => {
            faults.add(code, "PGPASSFILE", text);
            None
        }
    }
}

/// The agent speaks plain text to Postgres so far; what asks for more is refused rather than weakened.
pub(super) fn plain_enough(mode: SslMode) -> Result<(), String> {
    match mode {
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => Ok(()),
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Err(format!(
            "TLS from the agent to Postgres is not there yet, so {mode} cannot be kept: run the agent beside the \
             database (host = \"127.0.0.1\"), or reach it through a tunnel"
        )),
    }
}

fn refuse_doubles(targets: &[TargetConfig], faults: &mut Faults) {
    for (n, target) in targets.iter().enumerate() {
        if targets[..n].iter().any(|other| other.name == target.name) {
            faults.add(ErrorCode::ConfigInvalid, "target.name", format!("two targets are named {}", target.name));
        }
    }
}

fn number(env: &Environment, name: &str, (least, most): (u32, u32), faults: &mut Faults) -> Option<u32> {
    let text = env.get(name)?;
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    if number.is_none() {
        faults.add(ErrorCode::ConfigInvalid, name, format!("must be a whole number from {least} to {most}"));
    }
    number
}
