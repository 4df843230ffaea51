//! `gk dev` from nothing: what it says is true, and what it leaves on disk is private.

use crate::support::{Home, eventually, is_alive, psql, psql_ok, text};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn one_line_says_that_all_is_ready_and_all_of_it_is_true() {
    let home = Home::new();
    let dev = home.dev(&[]);
    assert_eq!(dev.get("/schema"), "gk.dev.v1");
    assert_eq!(dev.get("/context"), "dev");
    assert_eq!(dev.ready["pid"], dev.pid().as_raw_pid());
    assert_eq!(dev.ready["contextIsCurrent"], true);
    assert_eq!(dev.ready["resumed"], false);
    assert_eq!(dev.ready["targets"][0]["name"], "pg-local");
    assert_eq!(dev.ready["targets"][0]["port"], dev.postgres_port());
    assert_eq!(dev.ready["roles"], serde_json::json!(["app_read", "app_write"]));
    for file in ["/tokenFile", "/policyFile", "/logFile", "/postgres/logFile"] {
        assert!(Path::new(dev.get(file)).is_file(), "{file}");
    }
    let who = home.gk_ok(&["auth", "status", "--json"]);
    assert!(who.contains("dev"), "{who}");

    let dsn = home.session("app_read", "15m");
    assert_eq!(psql_ok(&dsn, "SELECT count(*) FROM orders"), "75000");
    let refused = psql(&dsn, "INSERT INTO customers (full_name) VALUES ('Eve')");
    assert!(text(&refused.stderr).contains("permission denied for table customers"));
    let ledger = dsn.replace("/app?", "/gk_ledger?");
    assert!(text(&psql(&ledger, "SELECT 1").stderr).contains("permission denied for database"));

    let (postmaster, port) = (dev.postmaster(), dev.postgres_port());
    let (status, rest) = dev.stop(Signal::TERM);
    assert!(status.success(), "{status}");
    assert_eq!(rest, "", "stdout has one line and no more");
    assert!(!is_alive(postmaster));
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn secrets_are_private_and_the_database_never_runs_as_root() {
    let home = Home::new();
    let dev = home.dev(&[]);
    let data = home.data();
    assert_eq!(mode(&data.join("secrets")), 0o700);
    for entry in fs::read_dir(data.join("secrets")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert_eq!(mode(Path::new(dev.get("/tokenFile"))), 0o600);
    let runs_as = fs::metadata(format!("/proc/{}", dev.postmaster().as_raw_pid())).unwrap().uid();
    assert_ne!(runs_as, 0);

    // No password and no token in any argument list, log or ledger row.
    let secrets: Vec<String> = fs::read_dir(data.join("secrets"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap().trim().to_owned())
        .collect();
    assert!(secrets.len() >= 5);
    let logs = [dev.get("/logFile"), dev.get("/postgres/logFile")].map(|log| fs::read_to_string(log).unwrap());
    let arguments: String = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok())
        .map(|bytes| text(&bytes))
        .collect();
    for secret in &secrets {
        assert!(!arguments.contains(secret) && logs.iter().all(|log| !log.contains(secret)));
    }
}

#[test]
fn a_person_is_told_what_to_type_and_it_works() {
    let home = Home::new();
    let mut command = home.command(&["dev", "--listen", "127.0.0.1:0", "--data-dir", home.data().to_str().unwrap()]);
    let said = home.path().join("said");
    let mut child = command.stdout(fs::File::create(home.path().join("out")).unwrap());
    child = child.stderr(fs::File::create(&said).unwrap());
    let mut child = child.spawn().unwrap();
    eventually("it says how to stop it", || fs::read_to_string(&said).unwrap().contains("Ctrl-C stops everything"));
    let told = fs::read_to_string(&said).unwrap();
    let steps: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let step =
        |head: &str| *steps.iter().find(|step| step.starts_with(head)).unwrap_or_else(|| panic!("{head}: {told}"));
    let gk_dir = Path::new(env!("CARGO_BIN_EXE_gk")).parent().unwrap().display().to_string();
    let script = format!("set -e\n{}\n{}\n{}\n", step("DSN="), step("psql"), step("gk session revoke"));
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .envs(gk_testkit::counters())
        .env("PATH", format!("{gk_dir}:/usr/local/bin:/usr/bin:/bin"))
        .env("HOME", home.path())
        .output()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert!(output.status.success() && text(&output.stdout).contains("75000"), "{script}: {}", text(&output.stderr));
    assert!(status.success(), "{status}");
    assert_eq!(fs::read_to_string(home.path().join("out")).unwrap(), "");
}

#[test]
fn an_ordinary_user_needs_no_root() {
    if !rustix::process::geteuid().is_root() {
        // Then every other test here runs as an ordinary user.
        return;
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_gk"));
    let home = Home::of(65_534);
    // The build directory may be closed to that user.
    let copy = home.path().join("gk");
    fs::copy(binary, &copy).unwrap();
    let dev = home.dev_with(&copy);
    let runs_as = fs::metadata(format!("/proc/{}", dev.postmaster().as_raw_pid())).unwrap().uid();
    assert_eq!(runs_as, 65_534);
    assert_eq!(fs::metadata(home.data()).unwrap().uid(), 65_534);
    assert_eq!(mode(&home.data()), 0o700);
}
