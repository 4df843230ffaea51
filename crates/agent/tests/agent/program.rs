//! `gk-agent` as a process: run, killed, stopped, and its other commands.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use gk_testkit::{TestPg, Version, eventually};
use rustix::process::{Pid, Signal, kill_process};

use super::lab::{AGENT_PASSWORD, SOON, Session, TARGET, target};
use super::plane::{Plane, token};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gk-agent");

/// A running agent with its files.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Program {
    /// Starts it at debug level and waits for its first heartbeat.
    pub(crate) async fn run(plane: &Plane, pg: &TestPg) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = write_config(dir.path(), plane, pg);
        Self::start(dir, &config, plane).await
    }

    /// The same with this configuration.
    pub(crate) async fn with(plane: &Plane, pg: &TestPg, text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = write_config(dir.path(), plane, pg);
        fs::write(&config, text).unwrap();
        Self::start(dir, &config, plane).await
    }

    async fn start(dir: tempfile::TempDir, config: &Path, plane: &Plane) -> Self {
        let log = dir.path().join("log");
        let child = agent(&["--config", config.to_str().unwrap(), "run"])
            .env("GK_LOG", "trace")
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let program = Self { child, log, _dir: dir };
        eventually(SOON, "the agent beats", async || {
            if plane.script().heartbeats.is_empty() { Err(fs::read_to_string(&program.log).unwrap()) } else { Ok(()) }
        })
        .await;
        program
    }

    /// Waits until its log says this.
    pub(crate) async fn logs(&self, text: &str) {
        eventually(SOON, text, async || {
            let log = fs::read_to_string(&self.log).unwrap();
            if log.contains(text) { Ok(()) } else { Err(log) }
        })
        .await;
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it as a service manager would, and gives its log.
    pub(crate) fn stop(&mut self) -> String {
        kill_process(self.pid(), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        fs::read_to_string(&self.log).unwrap()
    }

    /// What other users of the machine, and its own user, see of it.
    pub(crate) fn arguments_and_environment(&self) -> String {
        let of = |what| fs::read(format!("/proc/{}/{what}", self.child.id())).unwrap_or_default();
        String::from_utf8_lossy(&[of("cmdline"), of("environ")].concat()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().envs(gk_testkit::counters()).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn secret(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

pub(crate) fn write_config(dir: &Path, plane: &Plane, pg: &TestPg) -> PathBuf {
    secret(dir, "token", token().expose());
    secret(dir, "password", AGENT_PASSWORD);
    let text = format!(
        "control_plane = \"{}\"\ntoken_file = \"token\"\nlisten = \"127.0.0.1:0\"\n\n[[target]]\nname = \"{TARGET}\"\n\
         host = \"127.0.0.1\"\nport = {}\ndatabase = \"app\"\npassword_file = \"password\"\n",
        plane.address,
        pg.port()
    );
    let path = dir.join("agent.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    agent(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_is_printed_for_psql_and_gives_the_login_its_password() {
    let pg = TestPg::start(Version::From16).await;
    pg.create_database("app").await;
    pg.superuser("app").await.batch_execute("CREATE TABLE orders AS SELECT 1 AS id").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let password = secret(dir.path(), "password", AGENT_PASSWORD);
    let printed =
        output(&["bootstrap", "--print", "--schema", "public", "--agent-password-file", password.to_str().unwrap()]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    assert!(!text(&printed.stdout).contains(AGENT_PASSWORD), "a verifier only");
    let script = dir.path().join("bootstrap.sql");
    fs::write(&script, &printed.stdout).unwrap();
    let ran = Command::new(pg.psql())
        .arg(pg.superuser_dsn("app"))
        .args(["--no-psqlrc", "--quiet", "--file", script.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(pg.connect("gk_agent", AGENT_PASSWORD, "app").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_is_applied_and_repeated_with_a_dsn_file() {
    let pg = TestPg::start(Version::Before16).await;
    pg.create_database("app").await;
    let dir = tempfile::tempdir().unwrap();
    let dsn = secret(dir.path(), "dsn", &pg.superuser_dsn("app"));
    let password = secret(dir.path(), "password", AGENT_PASSWORD);
    let arguments = ["bootstrap", "--apply", "--dsn-file", dsn.to_str().unwrap()];
    for _ in 0..2 {
        let ran = output(&[&arguments[..], &["--agent-password-file", password.to_str().unwrap()]].concat());
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        assert!(ran.stdout.is_empty());
        assert!(!text(&ran.stderr).contains(pg.superuser_password()), "{}", text(&ran.stderr));
    }
    assert!(pg.connect("gk_agent", AGENT_PASSWORD, "app").await.is_ok());
    fs::set_permissions(&dsn, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = output(&arguments);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("chmod 0600"), "{}", text(&refused.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_says_whether_it_lives_and_is_ready() {
    let (pg, plane) = (target(Version::From16).await, Plane::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), &plane, &pg);
    // A port that was free a moment ago: the agent takes its port from the configuration only.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let config = config.to_str().unwrap();
    let health = |ready: bool| {
        let arguments = ["--config", config, "healthcheck", "--ready"];
        agent(&arguments[..if ready { 4 } else { 3 }]).env("AGENT_PORT", &port).output().unwrap().status.code()
    };
    assert_eq!(health(false), Some(9), "nothing runs yet");
    let mut child = agent(&["--config", config, "run"]).env("AGENT_PORT", &port).stderr(Stdio::null()).spawn().unwrap();
    eventually(SOON, "the agent is ready", async || if health(true) == Some(0) { Ok(()) } else { Err("it is not") })
        .await;
    assert_eq!(health(false), Some(0));
    let session = Session::new();
    session.minted(&plane, 600).await;
    gk_edge::install_tls();
    let metrics = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("gk_agent_jobs_total{kind=\"create\",outcome=\"minted\"} 1"), "{metrics}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_bad_configuration_is_refused_with_every_fault_and_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    let bad = "control_plane = \"http://gk.example.com\"\ntoken_file = \"none\"\nslot = 3\n\n[[target]]\nname = \"a b\"\n\
               port = 99999\nsslmode = \"verify-ca\"\n";
    fs::write(&path, bad).unwrap();
    let refused = output(&["--config", path.to_str().unwrap(), "config", "check"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stdout.is_empty());
    let told = text(&refused.stderr);
    for expected in [
        "agent.toml:1: control_plane: plain http:// is only for this machine",
        "[insecure_url]",
        "agent.toml:2: token_file:",
        "agent.toml:3: slot: is not a setting",
        "agent.toml:5: target.database: every target needs",
        "agent.toml:6: target.name:",
        "agent.toml:7: target.port: must be a whole number from 1 to 65535",
        "agent.toml:8: target.sslmode: verify-ca is not offered",
    ] {
        assert!(told.contains(expected), "{expected} is not in:\n{told}");
    }
}
