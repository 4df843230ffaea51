//! Signals while a session is asked for: what was begun is ended, and the exit code says which signal it was.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::scripted::{Reply, Scripted, dsn, ready, session, view};
use crate::support::{Home, words};

const CREATE: &str = "session create --target pg-local --role app_read --ttl 15m --reason debug";

/// A control plane whose agent does not come.
fn slow() -> Scripted {
    Scripted::start(|seen| {
        let waits = seen.is("POST", "/v1/sessions") && seen.query.contains("wait");
        waits.then(|| Reply::json(201, &view("provisioning")).after(Duration::from_secs(60)))
    })
}

fn begun(plane: &Scripted) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while plane.count("POST", "/v1/sessions") == 0 {
        assert!(Instant::now() < deadline, "gk never asked");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends it to a `gk` that has asked, and returns its exit code with what it said.
fn stopped(plane: &Scripted, mut child: Child, signal: Signal) -> (Option<i32>, String) {
    begun(plane);
    kill_process(Pid::from_child(&child), signal).expect("is alive");
    let mut stderr = String::new();
    child.stderr.take().expect("is piped").read_to_string(&mut stderr).expect("text");
    (child.wait().expect("ends").code(), stderr)
}

fn revokes(plane: &Scripted) -> Vec<serde_json::Value> {
    let path = format!("/v1/sessions/{}/revoke", session());
    plane.seen().into_iter().filter(|seen| seen.is("POST", &path)).map(|seen| seen.body).collect()
}

#[test]
fn a_signal_ends_what_was_begun_and_the_exit_code_names_it() {
    let cases = [
        (Signal::INT, 130, "interrupted", "interrupted at the terminal"),
        (Signal::TERM, 143, "terminated", "gk was terminated before it was ready"),
        (Signal::HUP, 129, "hung up", "the terminal of gk went away before it was ready"),
    ];
    for (signal, code, word, reason) in cases {
        let plane = slow();
        let child = Home::at(&plane.url).command(words(CREATE)).spawn().expect("gk runs");
        let (ended, stderr) = stopped(&plane, child, signal);
        assert_eq!(ended, Some(code), "{stderr}");
        let said = format!("error[interrupted]: {word}: session {} is being ended", session());
        assert!(stderr.contains(&said), "{stderr}");
        assert_eq!(revokes(&plane), [serde_json::json!({ "reason": reason })]);
        let keys: Vec<_> =
            plane.seen().iter().filter_map(|seen| seen.header("idempotency-key").map(str::to_owned)).collect();
        assert_eq!(keys[0], keys[1], "the repeat is the same request");
    }
}

#[test]
fn a_signal_before_the_command_of_exec_began_is_not_125() {
    let plane = slow();
    let line = words("exec --target pg-local --role app_read --ttl 15m -- true");
    let child = Home::at(&plane.url).command(line).spawn().expect("gk runs");
    let (ended, stderr) = stopped(&plane, child, Signal::TERM);
    assert_eq!((ended, revokes(&plane).len()), (Some(143), 1), "{stderr}");
}

#[test]
fn a_session_that_cannot_be_ended_is_named_with_the_command_that_ends_it() {
    let path = format!("/v1/sessions/{}/revoke", session());
    let plane = Scripted::start(move |seen| match seen.is("POST", &path) {
        true => Some(Reply::text(503, "no")),
        false => {
            seen.query.contains("wait").then(|| Reply::json(201, &view("provisioning")).after(Duration::from_secs(60)))
        }
    });
    let child = Home::at(&plane.url).command(words(CREATE)).spawn().expect("gk runs");
    let (ended, stderr) = stopped(&plane, child, Signal::TERM);
    assert_eq!(ended, Some(143), "{stderr}");
    assert!(stderr.contains(&format!("next  gk session revoke {}", session())), "{stderr}");
}

/// The same, run with HUP ignored.
fn as_nohup_does(model: &Command) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(model.get_program()).args(model.get_args());
    command.env_clear().envs(model.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn what_the_caller_ignores_as_nohup_does_stays_ignored() {
    let plane = Scripted::start(|seen| {
        let asked = seen.is("POST", "/v1/sessions");
        asked.then(|| Reply::json(201, &ready(&seen.body)).after(Duration::from_secs(1)))
    });
    let home = Home::at(&plane.url);
    let child = as_nohup_does(&home.command(words(CREATE))).spawn().expect("sh runs");
    begun(&plane);
    kill_process(Pid::from_child(&child), Signal::HUP).expect("is alive");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}\n", dsn()));
    assert_eq!((output.status.code(), revokes(&plane).len()), (Some(0), 0));
}

#[test]
fn a_hangup_that_is_ignored_reaches_neither_exec_nor_its_command() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    let mut args = words("exec --target pg-local --role app_read --ttl 15m -- sh -c");
    args.push("echo up; kill -HUP $$; read -r line; sleep 0.5; echo $line");
    let mut child = as_nohup_does(&home.command(args)).stdin(Stdio::piped()).spawn().expect("sh runs");
    let mut stdout = child.stdout.take().expect("is piped");
    let mut first = [0; 3];
    stdout.read_exact(&mut first).expect("the command is up");
    kill_process(Pid::from_child(&child), Signal::HUP).expect("is alive");
    child.stdin.take().expect("is piped").write_all(b"still here\n").expect("it reads");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("text");
    assert_eq!((child.wait().expect("ends").code(), rest.as_str()), (Some(0), "still here\n"));
}
