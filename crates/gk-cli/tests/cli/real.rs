//! `gk` against a real control plane, agent and Postgres, as `gk dev` brings them up.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Home, Ran, words};

/// A running `gk dev` and the home of its user. Dropping it stops it.
struct Dev {
    home: Home,
    child: Child,
}

impl Dev {
    fn start() -> Self {
        let home = Home::new();
        // As root the server runs as somebody else, who has to pass through.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711)).expect("chmod");
        let mut command = home.command(["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir", "data"]);
        let log = std::fs::File::create(home.path().join("dev.log")).expect("a file");
        let mut child = command.stderr(log).spawn().expect("gk runs");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("is piped"));
        stdout.read_line(&mut line).expect("text");
        let dev = Self { home, child };
        assert!(
            line.contains("gk.dev.v1"),
            "{}",
            std::fs::read_to_string(dev.home.path().join("dev.log")).expect("a log")
        );
        dev
    }

    fn gk(&self, line: &str) -> Ran {
        self.home.gk(words(line))
    }

    /// A session's id and its login.
    fn session(&self, more: &str) -> (String, String) {
        let ran =
            self.gk(&format!("session create --target pg-local --role app_read --reason test --json {more}")).exits(0);
        let text = |key: &str| ran.json()[key].as_str().expect("is there").to_owned();
        (text("sessionId"), text("dsn"))
    }

    /// Runs SQL with psql.
    fn psql(&self, dsn: &str, sql: &str) -> Ran {
        let mut command = Command::new("psql");
        command
            .arg(dsn)
            .args(["-X", "-A", "-t", "-c", sql])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C");
        Ran::of(command.env("HOME", self.home.path()).output().expect("psql runs"))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Looks again until it holds.
#[track_caller]
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} never came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_session_reads_cannot_write_and_is_gone_when_it_is_revoked() {
    let dev = Dev::start();
    let (id, dsn) = dev.session("--ttl 15m");
    assert_eq!(dev.psql(&dsn, "select count(*) > 0 from customers").exits(0).stdout, "t\n");
    dev.psql(&dsn, "delete from customers").exits(1).says("permission denied");
    let mut open = Command::new("psql");
    open.arg(&dsn).args(["-X", "-c", "select 1", "-c", "select pg_sleep(60)"]).env_clear().env("PATH", "/usr/bin:/bin");
    let mut open = open.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("psql runs");
    let mut first = String::new();
    BufReader::new(open.stdout.as_mut().expect("is piped")).read_line(&mut first).expect("is connected");
    let ran = dev.gk(&format!("session revoke {id}")).exits(0);
    assert_eq!(ran.stdout, format!("{id}  revoked\n"));
    assert!(ran.stderr.contains("no login, no connection, no role"), "{}", ran.stderr);
    assert!(!open.wait().expect("ends").success(), "the open connection is cut");
    dev.psql(&dsn, "select 1").exits(2);
    let again = dev.gk(&format!("session revoke {id}")).exits(0);
    assert!(again.stderr.contains("already ended at "), "{}", again.stderr);
    dev.gk(&format!("session extend {id} --ttl 15m")).exits(6).says("error[session_ended]");
    dev.gk(&format!("session dsn {id}")).exits(6).says("error[credential_gone]");
    assert!(dev.gk(&format!("audit show {id}")).exits(0).stdout.contains("session.cleaned"));
    assert!(dev.gk("audit verify").exits(0).stdout.contains("consistent and signed by its own key"));
    assert!(dev.gk("audit verify --require-anchor").exits(0).stdout.contains("continues the head known before"));
    dev.gk("cleanup check").exits(0).silent();
    dev.gk("doctor").exits(0);
}

#[test]
fn exec_ends_its_session_and_says_when_its_time_was_up() {
    let dev = Dev::start();
    let exec = "exec --target pg-local --role app_read --reason test";
    let line = words(exec);
    let run = |ttl: &'static str, script: &'static str| {
        dev.home.gk([&line[..], &["--ttl", ttl, "--", "sh", "-c", script]].concat())
    };
    let ran = run("5m", "psql -XAtc 'select current_user'; echo $GK_SESSION_ID; kill -9 $$").exits(137);
    let (user, id) = ran.stdout.trim_end().split_once('\n').expect("two lines");
    assert_eq!(user, id.replace("sess_", "gk_").to_lowercase());
    soon("the end of its session", || dev.gk(&format!("session show {id} --field status")).stdout.trim() == "revoked");
    let ran = run("5s", "psql -XAtc 'select 1' -c 'select pg_sleep(30)'").exits(2);
    assert!(ran.stderr.contains("has expired") || ran.stderr.contains("is revoking"), "{}", ran.stderr);
    let connected = dev.gk("connect pg-local --role app_read --reason test -- -XAtc table(inventory)");
    assert_ne!(connected.code, 125, "psql itself was run: {connected:?}");
}

#[test]
fn refusals_come_with_their_code_and_are_audited() {
    let dev = Dev::start();
    let create = |more: &str| dev.gk(&format!("session create --target pg-local --ttl 15m --reason test {more}"));
    for role in ["postgres", "pg_read_server_files", "gk_owner"] {
        create(&format!("--role {role}")).exits(5).silent().says("error[role_not_allowed]");
    }
    let denied = dev.gk("audit tail -n 20 --action session.denied").exits(0).stdout;
    assert_eq!(denied.lines().count(), 3, "{denied}");
    let line = "session create --target pg-local --role app_read --reason test --ttl";
    dev.gk(&format!("{line} 241m")).exits(2).silent().says("241m is above the limit of 240m for this target");
    dev.gk(&format!("{line} 240m")).exits(0);
    dev.gk("session create --target nowhere --role app_read --ttl 5m --reason x").exits(3).says("error[not_found]");
    dev.gk("session create --target pg-local --role app_read --ttl 5m").exits(2).says("error[reason_required]");
    dev.gk("session show sess_01ARZ3NDEKTSV4RRFFQ69G5FAV").exits(3).says("error[not_found]");
}

#[test]
fn one_key_gives_two_processes_one_session_and_another_body_is_refused() {
    let dev = Dev::start();
    let line = "--ttl 15m --idempotency-key deploy-2026-11-22";
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| dev.session(line));
        (dev.session(line), other.join().expect("no panic"))
    });
    assert_eq!(one, two);
    assert_eq!(dev.gk("session list --json").json()["sessions"].as_array().map(Vec::len), Some(1));
    let other =
        "session create --target pg-local --role app_read --reason other --ttl 15m --idempotency-key deploy-2026-11-22";
    dev.gk(other).exits(6).silent().says("error[idempotency_mismatch]");
    let again = dev.gk(&format!("session dsn {}", one.0)).exits(0);
    assert_eq!(again.stdout.trim_end(), one.1);
    let (id, _) = dev.session("--ttl 15m");
    dev.gk(&format!("session dsn {id}")).exits(6).says("one-time key");
}

#[test]
fn tokens_are_made_used_narrowed_and_revoked() {
    let dev = Dev::start();
    let made =
        dev.gk("token create --actor ci --scope requester --group dev --ttl 1h --out ci.token --json").exits(0).json();
    let file = dev.home.path().join("ci.token").display().to_string();
    let url = dev.gk("context show --field address").exits(0).stdout.trim().to_owned();
    let ci = Home::new().var("GK_ADDRESS", &url).var("GK_TOKEN_FILE", &file);
    assert_eq!(ci.gk(["auth", "status", "--field", "actor"]).exits(0).stdout, "ci\n");
    ci.gk(["token", "list"]).exits(5).silent().says("error[scope_missing]");
    let (id, _) = dev.session("--ttl 15m");
    ci.gk(["session", "show", &id]).exits(3).says("error[not_found]");
    dev.gk(&format!("token revoke {}", made["tokenId"].as_str().expect("an id"))).exits(0);
    ci.gk(["status"]).exits(4).silent().says("error[token_invalid]").says("(GK_TOKEN_FILE)");
    assert!(dev.gk("agent list").exits(0).stdout.contains("online"));
}

#[test]
fn what_came_of_a_request_is_searched_and_traced() {
    let dev = Dev::start();
    let (id, _) = dev.session("--ttl 15m");
    let shown = dev.gk(&format!("session show {id} --json")).exits(0).json();
    let request = shown["correlationId"].as_str().expect("an id").to_owned();
    dev.gk(&format!("session revoke {id}")).exits(0);
    soon("its end", || dev.gk(&format!("session show {id} --field status")).stdout == "revoked\n");
    let traced = dev.gk(&format!("trace {request}")).exits(0).stdout;
    for step in ["session.requested", "session.created", "session.cut", "session.cleaned", "+0.000s", "revoked"] {
        assert!(traced.contains(step), "no {step} in\n{traced}");
    }
    let same = dev.gk(&format!("trace {id} --json")).exits(0).json();
    assert_eq!((&same["schema"], &same["sessions"][0]["sessionId"]), (&"gk.trace.v1".into(), &id.as_str().into()));
    assert_eq!(same["events"].as_array().map(Vec::len), Some(traced.lines().count() - 1), "one line heads them");
    dev.gk("trace req_01ARZ3NDEKTSV4RRFFQ69G5FAV").exits(3).silent().says("error[not_found]").says("only reads");
    dev.gk("trace nonsense").exits(2).silent();

    let found = dev.gk("audit search TEST --action session.requested --since 1h").exits(0).stdout;
    assert!(found.lines().count() == 1 && found.contains(&id), "{found}");
    let newest = dev.gk(&format!("audit search --session {id} -n 1")).exits(0).says("earlier ones are not shown");
    assert!(newest.stdout.contains("session.cleaned"), "{}", newest.stdout);
    assert_eq!(dev.gk("audit search --until 2001-01-01T00:00:00Z").exits(0).says("no such events").stdout, "");
    dev.gk("audit search --since yesterday").exits(2).silent().says("neither so long ago");
}

#[test]
fn an_agent_is_shown_drained_and_given_sessions_again() {
    let dev = Dev::start();
    let list = dev.gk("agent list --json").exits(0).json();
    let name = list["agents"][0]["name"].as_str().expect("an agent").to_owned();
    let shown = dev.gk(&format!("agent show {name}")).exits(0).stdout;
    assert!(shown.contains("state    online") && shown.contains("target   pg-local  reachable"), "{shown}");
    dev.gk(&format!("agent drain {name} --wait 20s")).exits(0).says("may be stopped");
    let drained = dev.gk(&format!("agent drain {name} --json")).exits(0).json();
    assert!(drained["drainingAt"].is_string() && drained["jobs"] == 0, "{drained}");
    let shown = dev.gk(&format!("agent show {name}")).exits(0).stdout;
    assert!(shown.contains("state    draining") && shown.contains("draining since"), "{shown}");
    let ask = "session create --target pg-local --role app_read --ttl 5m --reason test";
    dev.gk(ask).exits(9).silent().says("error[no_agent]");
    dev.gk(&format!("agent drain {name} --undo")).exits(0).says("given new sessions again");
    dev.gk(ask).exits(0);
    dev.gk("agent show nobody").exits(3).silent().says("gk agent list");
    dev.gk("agent drain nobody").exits(3).silent();
}
