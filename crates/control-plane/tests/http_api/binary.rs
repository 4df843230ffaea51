//! The program itself, run as people run it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{POLICY, World};

pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Settings for the ledger at `url`, with `more` in front.
    pub(crate) fn settings(&self, url: &str, more: &str) -> PathBuf {
        let (url, policy) = (self.file("url", url, 0o600), self.file("policy.toml", POLICY, 0o644));
        let text = format!("{more}\npolicy_file = '{}'\n[ledger]\nurl_file = '{}'\n", policy.display(), url.display());
        self.file("plane.toml", text, 0o644)
    }
}

pub(crate) fn program(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gk-control-plane"));
    command.arg("--config").arg(config).args(arguments).env_clear().envs(gk_testkit::counters()).kill_on_drop(true);
    command
}

pub(crate) async fn run(config: &Path, arguments: &[&str]) -> Output {
    program(config, arguments).output().await.unwrap()
}

/// Asserts that the settings are refused with exit code 2 and one line that says `says`.
#[track_caller]
pub(crate) fn refused(output: &Output, code: &str, says: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.starts_with(&format!("error[{code}]: ")) && said.contains(says) && said.contains("; next: "),
        "{said}"
    );
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty() && !said.contains("s3cret"), "{said}");
}

const NOWHERE: &str = "postgresql://gk:s3cret@127.0.0.1:1/ledger";

#[tokio::test]
async fn settings_that_cannot_be_used_stop_the_program_before_it_does_anything() {
    let home = Home::new();
    let check = ["config", "check"];
    refused(&run(&home.path("none"), &check).await, "config_invalid", "No such file");
    refused(&run(home.0.path(), &check).await, "config_invalid", "is not a file");
    refused(&run(&home.file("empty", "", 0o644), &check).await, "config_invalid", "is empty");
    refused(&run(&home.file("binary", b"\xff\xfe\x00", 0o644), &check).await, "config_invalid", "not UTF-8");
    refused(&run(&home.file("huge", vec![b'#'; 100 << 20], 0o644), &check).await, "config_invalid", "larger than");
    refused(&run(&home.file("open", "x = 1", 0o666), &check).await, "unsafe_config", "chmod go-w");
    refused(
        &run(&home.settings(NOWHERE, "colour = 1\nlisten = '127.0.0.1:65536'"), &check).await,
        "config_invalid",
        "colour: unknown key",
    );
    let good = home.settings(NOWHERE, "");
    home.file("url", NOWHERE, 0o644);
    refused(&run(&good, &check).await, "unsafe_config", "ledger.url_file: ");
    home.file("url", format!("{NOWHERE}\n"), 0o600);
    home.file("policy.toml", POLICY, 0o666);
    refused(&run(&good, &check).await, "unsafe_config", "policy_file: ");
    home.file("policy.toml", POLICY, 0o644);
    let fine = run(&good, &check).await;
    assert_eq!(
        String::from_utf8_lossy(&fine.stdout),
        "ok: listens on 127.0.0.1:4000 (plain HTTP), ledger 127.0.0.1:1/ledger, 2 rules, sessions of at most 4h\n"
    );
}

#[tokio::test]
async fn a_ledger_that_is_away_foreign_or_newer_stops_the_program() {
    let home = Home::new();
    let away = run(&home.settings(NOWHERE, "listen = '127.0.0.1:4998'"), &["run"]).await;
    let said = String::from_utf8_lossy(&away.stderr).into_owned();
    assert!(
        away.status.code() == Some(9) && said.contains("error[ledger_unavailable]") && !said.contains("s3cret"),
        "{said}"
    );

    let world = World::start().await;
    world.pg.create_database("empty").await;
    let empty = home.settings(&world.pg.superuser_dsn("empty"), "listen = '127.0.0.1:4998'");
    let stopped = run(&empty, &["run"]).await;
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert!(
        stopped.status.code() == Some(2) && said.contains("error[schema_mismatch]") && said.contains("version 0"),
        "{said}"
    );

    let ledger = world.pg.superuser("ledger").await;
    let newer =
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (999, 'later', '', '0')";
    ledger.execute(newer, &[]).await.unwrap();
    let config = home.settings(&world.pg.superuser_dsn("ledger"), "listen = '127.0.0.1:4998'");
    for command in ["run", "migrate"] {
        let stopped = run(&config, &[command]).await;
        let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
        assert!(stopped.status.code() == Some(2) && said.contains("version 999"), "{command}: {said}");
    }
}

#[tokio::test]
async fn a_new_ledger_is_migrated_given_an_admin_and_served_until_a_signal() {
    let (home, world) = (Home::new(), World::start().await);
    world.pg.create_database("fresh").await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = home.settings(&world.pg.superuser_dsn("fresh"), &format!("listen = '{free}'"));
    let migrated = run(&config, &["migrate"]).await;
    assert!(migrated.status.success() && String::from_utf8_lossy(&migrated.stdout).contains("done: the ledger"));
    let again = run(&config, &["migrate"]).await;
    assert!(String::from_utf8_lossy(&again.stdout).starts_with("nothing to do"));

    let token_file = home.path("admin.token");
    let reserved = ["admin-token", "--name", "system", "--out", token_file.to_str().unwrap()];
    refused(&run(&config, &reserved).await, "invalid_name", "choose another name");
    let make = ["admin-token", "--name", "ada", "--out", token_file.to_str().unwrap()];
    assert!(run(&config, &make).await.status.success());
    assert_eq!(std::fs::metadata(&token_file).unwrap().permissions().mode() & 0o777, 0o600);
    refused(&run(&config, &make).await, "config_invalid", "File exists");

    let mut command = program(&config, &["run"]);
    let server = command.env("GK_LOG", "debug").env("GK_LOG_FORMAT", "json").stderr(Stdio::piped()).spawn().unwrap();
    gk_testkit::eventually(Duration::from_secs(15), "it can serve", async || {
        let health = run(&config, &["healthcheck"]).await;
        if health.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&health.stderr).into_owned()) }
    })
    .await;
    refused(&run(&config, &["run"]).await, "config_invalid", "choose another port");
    let token = std::fs::read_to_string(&token_file).unwrap();
    let url = format!("http://{free}/v1/me");
    let me = reqwest::Client::new().get(url).bearer_auth(token.trim()).send().await.unwrap();
    let request = me.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(me.status(), 200);

    let pid = rustix::process::Pid::from_raw(i32::try_from(server.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(15), server.wait_with_output()).await.unwrap().unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{log}");
    assert!(!log.contains(token.trim()) && !log.contains(world.pg.superuser_password()), "{log}");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered = lines.iter().find(|line| line["message"] == "answered" && line["span"]["route"] == "/me");
    assert_eq!(answered.unwrap()["span"]["request_id"], request.as_str());
}

#[tokio::test]
async fn the_contract_is_printed_without_any_settings() {
    let printed = run(Path::new("/nowhere"), &["openapi"]).await;
    let document: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}
