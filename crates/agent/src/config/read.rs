//! Puts file and environment together. A file wins; the environment fills in what it does not say.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gk_shared::dsn::SslMode;
use gk_shared::names::TargetName;
use gk_shared::problem::ErrorCode;
use gk_shared::secret::Password;

use super::environment::Environment;
use super::fault::Faults;
use super::file::{self, FileSettings};
use super::safe_file::{FileFault, read_token};
use super::table::Document;
use super::{
    AgentConfig, Credential, DEFAULT_POLL_INTERVAL, DEFAULT_PORT, DEFAULT_SLOTS, IdentityFile, PlaneUrl, TargetConfig,
    TokenSource, passfile,
};
use crate::provider::postgres::scram;
use crate::provider::postgres::tls::Tls;

const DEFAULT_PLANE: &str = "http://127.0.0.1:4000";

/// Reads the configuration.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<AgentConfig, Faults> {
    let mut faults = Faults::default();
    let settings = file.map_or_else(FileSettings::default, |path| file::read(path, &mut faults));
    whole(settings, environment, faults)
}

/// Reads the configuration from the text of a file; `path` is where it is said to stand.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(path: &Path, text: &str, environment: &Environment) -> Result<AgentConfig, Faults> {
    let mut faults = Faults::default();
    let settings = file::parse(&Document { path, text }, &mut faults);
    whole(settings, environment, faults)
}

fn whole(settings: FileSettings, environment: &Environment, mut faults: Faults) -> Result<AgentConfig, Faults> {
    match merge(settings, environment, &mut faults) {
        Some(config) if faults.0.is_empty() => Ok(config),
        Some(_) | None => Err(faults),
    }
}

fn merge(settings: FileSettings, env: &Environment, faults: &mut Faults) -> Option<AgentConfig> {
    let control_plane = if settings.names_plane { settings.control_plane } else { plane(env, faults) };
    let authorities = settings
        .authorities
        .or_else(|| file::authorities(Path::new(env.get("GK_CA_FILE")?), "GK_CA_FILE".to_owned(), faults));
    let credential = if settings.names_credential { settings.credential } else { credential(env, faults) };
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
        authorities,
        credential: credential?,
        targets,
        slots: settings.slots.unwrap_or(DEFAULT_SLOTS),
        listen: Some(listen),
        poll_interval: interval.or(settings.poll_interval).unwrap_or(DEFAULT_POLL_INTERVAL),
        state_dir: settings.state_dir.or_else(|| env.get("STATE_DIRECTORY").map(PathBuf::from)),
    })
}

fn plane(env: &Environment, faults: &mut Faults) -> Option<PlaneUrl> {
    file::plane(env.get("GK_CONTROL_PLANE").unwrap_or(DEFAULT_PLANE), "GK_CONTROL_PLANE".to_owned(), faults)
}

fn credential(env: &Environment, faults: &mut Faults) -> Option<Credential> {
    if let Some(path) = env.get("GK_IDENTITY_FILE") {
        return Some(Credential::Certificate(IdentityFile::new(path.into())));
    }
    let Some(path) = env.get("GK_TOKEN_FILE") else {
        faults.add(
            ErrorCode::ConfigInvalid,
            "token_file",
            "an agent needs its token: set token_file or GK_TOKEN_FILE to the file that `gk agent enroll` wrote; \
             or, for a certificate, identity_file",
        );
        return None;
    };
    match read_token(Path::new(path)) {
        Ok(token) => Some(Credential::Token(TokenSource::File { path: path.into(), token })),
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
    let tls = tls(env, faults);
    let password = password(env, &passfile::Login { host: &host, port, database: &database, user: &user }, faults);
    Some(TargetConfig {
        name,
        advertise_host: host.clone(),
        advertise_port: port,
        advertise_sslmode: None,
        host,
        port,
        standbys: Vec::new(),
        database,
        user,
        password,
        tls: tls?,
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

fn tls(env: &Environment, faults: &mut Faults) -> Option<Tls> {
    let mode = env.get("PGSSLMODE").map_or(Ok(SslMode::Prefer), str::parse);
    let made = mode
        .map_err(|error| error.to_string())
        .and_then(|mode| Tls::new(mode, env.get("PGSSLROOTCERT").map(Path::new)).map_err(|error| error.to_string()));
    made.map_err(|text| faults.add(ErrorCode::ConfigInvalid, "PGSSLMODE", text)).ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::secret::BearerToken;
    use std::os::unix::fs::PermissionsExt as _;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().expect("a directory"));
            files.write("token", BearerToken::generate([1; 32]).expose(), 0o600);
            files.write("password", "s3cret", 0o600);
            files
        }
        fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
            let path = self.path(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode set");
            path
        }
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
        fn faults(&self, text: &str) -> Vec<String> {
            let path = self.write("agent.toml", text, 0o600);
            let faults = load(Some(&path), &Environment::default()).expect_err("refused");
            faults.0.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn libpqs_variables_alone_make_one_target() {
        let files = Files::new();
        let token = files.path("token");
        let env = Environment::from([
            ("GK_TOKEN_FILE", token.to_str().expect("UTF-8")),
            ("PGHOST", "db.internal"),
            ("PGPORT", "6432"),
            ("PGDATABASE", "app"),
            ("PGPASSWORD", "s3cret"),
            ("AGENT_PORT", "4999"),
            ("AGENT_POLL_INTERVAL_MS", "100"),
            ("STATE_DIRECTORY", "/var/lib/gk-agent"),
        ]);
        let config = load(None, &env).expect("a configuration");
        let target = &config.targets[0];
        assert_eq!((target.name.as_str(), target.host.as_str(), target.port), ("pg-local", "db.internal", 6432));
        assert_eq!((target.user.as_str(), target.database.as_str()), ("gk_agent", "app"));
        assert_eq!(target.password, Some(Password::from("s3cret")));
        assert_eq!(config.control_plane.to_string(), "http://127.0.0.1:4000");
        assert_eq!(config.listen, Some("127.0.0.1:4999".parse().expect("an address")));
        assert_eq!(config.poll_interval, Duration::from_millis(100));
        assert_eq!(config.state_dir, Some("/var/lib/gk-agent".into()));
    }

    #[test]
    fn what_nobody_says_is_port_4001_and_a_poll_every_half_second() {
        let files = Files::new();
        let path =
            files.write("agent.toml", "token_file = \"token\"\n[[target]]\nname = \"a\"\ndatabase = \"app\"\n", 0o600);
        let token = files.path("token");
        let env = Environment::from([("GK_TOKEN_FILE", token.to_str().expect("UTF-8")), ("PGDATABASE", "app")]);
        for config in [load(Some(&path), &Environment::default()), load(None, &env)] {
            let config = config.expect("a configuration");
            assert_eq!(config.listen, Some("127.0.0.1:4001".parse().expect("an address")));
            assert_eq!(config.poll_interval, Duration::from_millis(500));
        }
    }

    #[test]
    fn a_file_wins_over_the_environment_and_names_its_secrets_beside_itself() {
        let files = Files::new();
        let text = "control_plane = \"https://gk.example.com\"\ntoken_file = \"token\"\nslots = 3\nstate_dir = \"state\"\n\
                    [[target]]\nname = \"one\"\ndatabase = \"app\"\npassword_file = \"password\"\nscram_iterations = 4096\n\
                    advertise_host = \"db.example.com\"\nadvertise_port = 6000\nadvertise_sslmode = \"verify-full\"\n\
                    [[target]]\nname = \"two\"\ndatabase = \"shop\"\nport = 5433\n";
        let path = files.write("agent.toml", text, 0o644);
        let env =
            Environment::from([("PGHOST", "elsewhere"), ("GK_TARGET", "x"), ("GK_CONTROL_PLANE", "https://other")]);
        let config = load(Some(&path), &env).expect("a configuration");
        assert_eq!(config.control_plane.to_string(), "https://gk.example.com");
        assert_eq!((config.slots, config.state_dir), (3, Some(files.path("state"))));
        let [one, two] = &config.targets[..] else { panic!("two targets") };
        assert_eq!(
            (one.host.as_str(), one.advertise_host.as_str(), one.advertise_port),
            ("127.0.0.1", "db.example.com", 6000)
        );
        assert_eq!((one.password.is_some(), two.password.is_some()), (true, false));
        assert_eq!((two.port, two.advertise_port), (5433, 5433));
    }

    #[test]
    fn each_fault_is_told_with_its_line_and_none_hides_another() {
        let files = Files::new();
        files.write("open", "s3cret", 0o644);
        let told = files.faults(
            "token_file = \"token\"\nslots = \"many\"\nlisten = \"here\"\npoll = 3\n\n\
             [[target]]\nname = \"a\"\ndatabase = \"\"\npassword_file = \"open\"\n\
             [[target]]\nname = \"a\"\ndatabase = \"app\"\nsslmode = \"strict\"\n",
        );
        let expected = [
            ":2: slots: must be a whole number",
            ":3: listen: ",
            ":4: poll: is not a setting",
            ":8: target.database: must not be empty",
            ":9: target.password_file: ",
            ":13: target.sslmode: ",
        ];
        for part in expected {
            assert!(told.iter().any(|fault| fault.contains(part)), "{part} is not in {told:#?}");
        }
        assert!(told.iter().any(|fault| fault.contains("[unsafe_config]")), "{told:#?}");
        assert!(!format!("{told:?}").contains("s3cret"));
    }

    #[test]
    fn standbys_are_named_each_once_with_a_host() {
        let files = Files::new();
        let head = "token_file = \"token\"\n[[target]]\nname = \"a\"\ndatabase = \"app\"\nhost = \"db1\"\n";
        let text = format!("{head}standbys = [{{ host = \"db2\" }}, {{ host = \"db3\", port = 5433 }}]\n");
        let path = files.write("agent.toml", &text, 0o600);
        let config = load(Some(&path), &Environment::default()).expect("a configuration");
        let places: Vec<String> = config.targets[0].endpoints().map(|place| place.to_string()).collect();
        assert_eq!(places, ["db1:5432", "db2:5432", "db3:5433"]);
        for (standbys, told) in [
            ("standbys = [{ port = 1 }]", "target.standbys.host: every standby needs the host"),
            ("standbys = [{ host = \"db1\" }]", "db1:5432 is named twice"),
            ("standbys = [{ host = \"b\" }, { host = \"b\" }]", "b:5432 is named twice"),
            (
                "standbys = [{ host = \"b\", user = \"x\" }]",
                "target.standbys.user: is not a setting; there are: host, port",
            ),
            ("standbys = [\"b\"]", "write it as [[standbys]]"),
        ] {
            let faults = files.faults(&format!("{head}{standbys}\n"));
            assert!(faults.iter().any(|fault| fault.contains(told)), "{told} is not in {faults:?}");
        }
    }

    #[test]
    fn two_targets_of_one_name_and_broken_syntax_are_refused() {
        let files = Files::new();
        let target = "[[target]]\nname = \"a\"\ndatabase = \"app\"\n";
        let told = files.faults(&format!("token_file = \"token\"\n{target}{target}"));
        assert!(told.iter().any(|fault| fault.contains("two targets are named a")), "{told:?}");
        assert!(files.faults("token_file = \"token\n")[0].contains("agent.toml:1: syntax"));
        assert!(files.faults("target = 3\ntoken_file = \"token\"\n")[0].contains("write it as [[target]]"));
    }

    #[test]
    fn a_missing_token_names_both_ways_to_give_one() {
        let faults = load(None, &Environment::default()).expect_err("refused");
        assert!(faults.to_string().contains("token_file or GK_TOKEN_FILE"), "{faults}");
    }
}
