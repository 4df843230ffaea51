//! `gk exec` and `gk connect`: a child with a session.

use std::io::Read as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::scripted::{PASSWORD, Reply, Scripted, dsn, session, view};
use crate::support::{Home, Ran};

const ASK: [&str; 7] = ["exec", "--target", "pg-local", "--role", "app_read", "--ttl=15m", "--"];

fn exec(plane: &Scripted, command: &[&str]) -> Ran {
    Home::at(&plane.url).gk([&ASK[..], command].concat())
}

fn revokes(plane: &Scripted) -> usize {
    plane.count("POST", &format!("/v1/sessions/{}/revoke", session()))
}

#[test]
fn the_child_gets_the_login_in_its_environment_and_the_password_in_a_file_of_its_own() {
    let plane = Scripted::good();
    let script =
        "env | grep -E '^(PG|GK_SESSION|DATABASE_URL)' | sort; stat -c %a \"$PGPASSFILE\"; cat \"$PGPASSFILE\"";
    let ran = exec(&plane, &["sh", "-c", script]).exits(0);
    let role = session().role_name();
    for line in [
        "GK_SESSION_EXPIRES_AT=2026-11-22T14:47:00Z",
        &format!("GK_SESSION_ID={}", session()),
        "PGAPPNAME=gk:sess",
        "PGDATABASE=app",
        "PGHOST=127.0.0.1",
        "PGPORT=5432",
        &format!("PGUSER={role}"),
        "600",
        &format!("127.0.0.1:5432:app:{role}:{PASSWORD}"),
    ] {
        assert!(ran.stdout.lines().any(|found| found == line), "no `{line}` in {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("DATABASE_URL"), "only where it is asked for");
    let file = ran.stdout.lines().find_map(|line| line.strip_prefix("PGPASSFILE=")).expect("is set");
    assert!(!std::path::Path::new(file).exists(), "the file is gone with the child");
    assert!(!ran.stderr.contains(PASSWORD));
    assert!(ran.stderr.ends_with(&format!("✓ session {} is being ended\n", session())), "{}", ran.stderr);
    assert_eq!(revokes(&plane), 1);
}

#[test]
fn gk_leaves_no_core_and_its_child_keeps_the_limit_it_had() {
    let plane = Scripted::good();
    let script = "sleep 0.2; grep '^Max core' /proc/$PPID/limits; grep '^Max core' /proc/self/limits";
    let ran = exec(&plane, &["sh", "-c", script]).exits(0);
    let soft: Vec<&str> = ran.stdout.lines().filter_map(|line| line.split_whitespace().nth(4)).collect();
    let mine = std::fs::read_to_string("/proc/self/limits").expect("is there");
    let mine = mine.lines().find(|line| line.starts_with("Max core")).and_then(|line| line.split_whitespace().nth(4));
    assert_eq!(soft, ["0", mine.expect("is there")]);
}

#[test]
fn database_url_comes_only_when_asked_for() {
    let plane = Scripted::good();
    let args = ["exec", "--target=pg-local", "--role=app_read", "--ttl=15m", "--env", "dsn", "--", "sh", "-c"];
    let ran = Home::at(&plane.url).gk([&args[..], &["printf %s \"$DATABASE_URL\""]].concat()).exits(0);
    assert_eq!(ran.stdout, dsn());
}

#[test]
fn what_the_caller_had_set_does_not_stand_in_the_way() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url).var("PGPASSWORD", "old").var("PGSERVICE", "prod").var("PGHOST", "prod");
    let ran = home.gk([&ASK[..], &["sh", "-c", "echo \"[$PGPASSWORD$PGSERVICE]$PGHOST\""]].concat()).exits(0);
    assert_eq!(ran.stdout, "[]127.0.0.1\n");
}

#[test]
fn gk_exits_as_the_child_does_and_then_the_session_is_ended() {
    for (command, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)] {
        let plane = Scripted::good();
        exec(&plane, &["sh", "-c", command]).exits(code);
        assert_eq!(revokes(&plane), 1, "{command}");
    }
}

#[test]
fn a_command_that_cannot_be_run_costs_no_session() {
    let plane = Scripted::good();
    exec(&plane, &["no-such-command"]).exits(127).silent().says("error[command_not_found]");
    exec(&plane, &["/no/such/command"]).exits(127).silent();
    let home = Home::at(&plane.url);
    let path = home.file("plain", "#!/bin/sh\n", 0o644).display().to_string();
    home.gk([&ASK[..], &[path.as_str()]].concat()).exits(126).silent().says("error[command_not_executable]");
    home.gk([&ASK[..], &["/tmp"]].concat()).exits(126).silent();
    assert_eq!(plane.seen().len(), 0);
}

#[test]
fn a_failure_of_gk_itself_is_125() {
    let home = Home::at("http://127.0.0.1:1");
    home.gk([&ASK[..], &["true"]].concat()).exits(125).silent().says("error[control_plane_unreachable]");
    Home::new().gk([&ASK[..], &["true"]].concat()).exits(125).says("error[not_logged_in]");
}

#[test]
fn a_session_in_a_session_is_refused_unless_it_is_meant() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url).var("GK_SESSION_ID", &session().to_string());
    let ran = home.gk([&ASK[..], &["true"]].concat()).exits(2).silent().says("error[already_inside]");
    ran.says(&session().to_string()).says("--nested");
    home.gk([&["exec", "--nested"], &ASK[1..], &["true"]].concat()).exits(0);
}

#[test]
fn arguments_behind_the_dashes_reach_the_child_as_they_are() {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let plane = Scripted::good();
    let odd = std::ffi::OsString::from_vec(b"a\xffb".to_vec());
    let mut args: Vec<&std::ffi::OsStr> = ASK.iter().map(std::ffi::OsStr::new).collect();
    args.extend([
        std::ffi::OsStr::new("printf"),
        std::ffi::OsStr::new("%s|"),
        &odd,
        std::ffi::OsStr::from_bytes(b"--json"),
    ]);
    let out = Home::at(&plane.url).command(args).output().expect("gk runs");
    assert_eq!(out.stdout, b"a\xffb|--json|");
}

/// Starts a child that says "up" and waits for a signal; returns it with what it printed.
fn with_signal(plane: &Scripted, script: &str, signal: Signal) -> (i32, String) {
    let home = Home::at(&plane.url);
    let mut gk = home.command([&ASK[..], &["sh", "-c", script]].concat()).spawn().expect("gk runs");
    let mut stdout = gk.stdout.take().expect("is piped");
    let mut first = [0; 3];
    stdout.read_exact(&mut first).expect("the child is up");
    kill_process(Pid::from_child(&gk), signal).expect("gk is alive");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("text");
    (Ran::of(gk.wait_with_output().expect("ends")).code, rest)
}

#[test]
fn term_hup_and_usr_are_passed_on_and_int_is_left_to_the_terminal() {
    let trap = |name: &str| format!("trap 'echo got {name}; exit 9' {name}; echo up; while :; do sleep 0.05; done");
    for (name, signal) in [("TERM", Signal::TERM), ("HUP", Signal::HUP), ("USR1", Signal::USR1), ("USR2", Signal::USR2)]
    {
        let plane = Scripted::good();
        let (code, said) = with_signal(&plane, &trap(name), signal);
        assert_eq!((code, said.as_str()), (9, format!("got {name}\n").as_str()));
        assert_eq!(revokes(&plane), 1);
    }
    for signal in [Signal::INT, Signal::QUIT] {
        let plane = Scripted::good();
        let (code, said) = with_signal(&plane, "echo up; sleep 0.5; echo still here", signal);
        assert_eq!((code, said.as_str()), (0, "still here\n"), "gk does not die of it, nor does it pass it on");
        assert_eq!(revokes(&plane), 1);
    }
}

#[test]
fn gk_says_why_when_the_session_ends_under_the_child() {
    let path = format!("/v1/sessions/{}", session());
    let plane = Scripted::start(move |seen| {
        let mut over = view("revoking");
        (over["endReason"], over["endedBy"]) = (json!("revoked"), json!("admin-eve"));
        seen.is("GET", &path).then(|| Reply::json(200, &over))
    });
    let begun = Instant::now();
    let ran = exec(&plane, &["sleep", "3"]).exits(0).says("was revoked by admin-eve");
    assert_eq!(ran.stderr.matches("was revoked").count(), 1, "said once: {}", ran.stderr);
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_command_that_fails_because_its_session_expired_is_no_riddle() {
    let plane = Scripted::start(|seen| {
        let made = seen.is("POST", "/v1/sessions").then(|| crate::scripted::ready(&seen.body));
        made.map(|mut made| {
            made["expiresInSeconds"] = json!(0);
            Reply::json(201, &made)
        })
    });
    exec(&plane, &["sh", "-c", "exit 2"]).exits(2).says("has expired");
    let ran = exec(&plane, &["true"]).exits(0);
    assert!(!ran.stderr.contains("has expired"), "nothing went wrong: {}", ran.stderr);
}

#[test]
fn a_control_plane_that_is_gone_at_the_end_does_not_change_the_exit_code() {
    let path = format!("/v1/sessions/{}/revoke", session());
    let plane = Scripted::start(move |seen| seen.is("POST", &path).then(|| Reply::text(503, "no")));
    exec(&plane, &["sh", "-c", "exit 3"]).exits(3).says("it ends by itself on time");
}

#[test]
fn connect_runs_psql_with_the_only_role_there_is() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    home.file("bin/psql", "#!/bin/sh\necho psql \"$@\" \"$PGUSER\"\n", 0o755);
    let path = format!("{}:/usr/bin:/bin", home.path().join("bin").display());
    let ran = home.var("PATH", &path).gk(["connect", "pg-local", "--", "-X"]).exits(0);
    assert_eq!(ran.stdout, format!("psql -X {}\n", session().role_name()));
    let asked = plane.seen().into_iter().find(|seen| seen.is("POST", "/v1/sessions")).expect("asked");
    assert_eq!((&asked.body["role"], &asked.body["ttlSeconds"]), (&json!("app_read"), &json!(3600)));
    Home::at(&plane.url).var("PATH", "/nowhere").gk(["connect", "pg-local"]).exits(127).says("error[psql_missing]");
}
