//! A real terminal: what is asked there, and what a child of `gk exec` keeps of it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use gk_shared::problem::ErrorCode;

use crate::scripted::{Reply, Scripted, dsn, session};
use crate::support::{Home, words};

/// A command on a terminal of its own.
struct Terminal {
    master: File,
    child: Child,
    seen: String,
}

impl Terminal {
    /// Starts `gk` with a new pseudo-terminal as its controlling one.
    fn start(home: &Home, args: &[&str], redirect: impl FnOnce(&mut Command)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("is ours");
        let name = ptsname(&master, Vec::new()).expect("has a name").into_string().expect("text");
        let side = || File::options().read(true).write(true).open(&name).expect("opens");
        let model = home.command(args);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(model.get_program()).args(model.get_args());
        command.current_dir(home.path()).env_clear();
        command.envs(model.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
        command.stdin(side()).stdout(side()).stderr(side());
        redirect(&mut command);
        let child = command.spawn().expect("setsid runs");
        Self { master: File::from(master), child, seen: String::new() }
    }

    /// Reads until this was shown.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.seen.contains(text) {
            assert!(Instant::now() < deadline, "`{text}` never came: {}", self.seen);
            let mut bytes = [0; 4096];
            // When the other side is gone, reading fails: then nothing more comes.
            let read = self.master.read(&mut bytes).unwrap_or(0);
            assert!(read > 0, "`{text}` never came: {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }

    fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("the terminal takes it");
    }

    fn ends(mut self) -> i32 {
        self.child.wait().expect("ends").code().expect("by itself")
    }
}

#[test]
fn what_is_missing_is_asked_for_even_when_stdout_is_a_file() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    let out = File::create(home.path().join("out")).expect("a file");
    let mut terminal = Terminal::start(&home, &["session", "create", "--quiet"], |command| {
        command.stdout(out);
    });
    for (question, answer) in [("Target [pg-local]: ", "\n"), ("Role [app_read]: ", "app_read\n"), ("15m): ", "15m\n")]
    {
        terminal.until(question);
        terminal.types(answer);
    }
    assert_eq!(terminal.ends(), 0);
    assert_eq!(std::fs::read_to_string(home.path().join("out")).expect("is there"), format!("{}\n", dsn()));
}

#[test]
fn a_reason_is_asked_for_where_policy_wants_one() {
    let plane = Scripted::start(|seen| {
        let refused = seen.is("POST", "/v1/sessions") && seen.body.get("reason").is_none();
        refused.then(|| Reply::problem(ErrorCode::ReasonRequired, "policy wants a reason"))
    });
    let line = words("session create --target pg-local --role app_read --ttl 15m");
    let mut terminal = Terminal::start(&Home::at(&plane.url), &line, |_| ());
    terminal.until("Reason: ");
    terminal.types("looking around\n");
    terminal.until("postgresql://");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(plane.seen()[1].body["reason"], "looking around");
}

#[test]
fn connect_asks_which_of_several_roles_is_meant() {
    let plane = Scripted::start(|seen| {
        let mut target = crate::scripted::target();
        target["roles"] = serde_json::json!([
            { "role": "app_read", "maxTtlSeconds": 14400, "rule": "dev" },
            { "role": "app_write", "maxTtlSeconds": 3600, "rule": "dev" },
        ]);
        seen.is("GET", "/v1/targets/pg-local").then(|| Reply::json(200, &target))
    });
    let home = Home::at(&plane.url);
    home.file("bin/psql", "#!/bin/sh\necho in psql\n", 0o755);
    let path = format!("{}:/usr/bin:/bin", home.path().join("bin").display());
    let home = home.var("PATH", &path);
    let mut terminal = Terminal::start(&home, &["connect", "pg-local"], |_| ());
    terminal.until("Role (app_read, app_write): ");
    terminal.types("app_write\n");
    terminal.until("in psql");
    assert_eq!(terminal.ends(), 0);
    let asked = plane.seen().into_iter().find(|seen| seen.is("POST", "/v1/sessions")).expect("asked");
    assert_eq!(asked.body["role"], "app_write");
}

/// A control plane with two targets, and two roles on the first.
fn two_of_each() -> Scripted {
    Scripted::start(|seen| {
        let (mut first, mut second) = (crate::scripted::target(), crate::scripted::target());
        second["name"] = "shop".into();
        first["roles"] = serde_json::json!([
            { "role": "app_read", "maxTtlSeconds": 14400, "rule": "dev" },
            { "role": "app_write", "maxTtlSeconds": 3600, "rule": "dev" },
        ]);
        match (seen.method.as_str(), seen.path.as_str()) {
            ("GET", "/v1/targets") => Some(Reply::json(200, &serde_json::json!({ "targets": [first, second] }))),
            ("GET", "/v1/targets/pg-local") => Some(Reply::json(200, &first)),
            _ => None,
        }
    })
}

#[test]
fn exec_shows_the_targets_and_roles_there_are_to_choose_from() {
    let plane = two_of_each();
    let mut terminal = Terminal::start(&Home::at(&plane.url), &["exec", "--ttl=15m", "--", "echo", "in", "it"], |_| ());
    terminal.until("Target (pg-local, shop): ");
    terminal.types("pg-local\n");
    terminal.until("Role (app_read, app_write): ");
    terminal.types("app_write\n");
    terminal.until("in it");
    assert_eq!(terminal.ends(), 0);
    let asked = plane.seen().into_iter().find(|seen| seen.is("POST", "/v1/sessions")).expect("asked");
    assert_eq!((&asked.body["target"], &asked.body["role"]), (&"pg-local".into(), &"app_write".into()));
}

#[test]
fn connect_shows_the_targets_there_are_to_choose_from() {
    let plane = two_of_each();
    let home = Home::at(&plane.url);
    home.file("bin/psql", "#!/bin/sh\necho in psql\n", 0o755);
    let path = format!("{}:/usr/bin:/bin", home.path().join("bin").display());
    let home = home.var("PATH", &path);
    let mut terminal = Terminal::start(&home, &["connect"], |_| ());
    terminal.until("Target (pg-local, shop): ");
    terminal.types("pg-local\n");
    terminal.until("Role (app_read, app_write): ");
    terminal.types("app_read\n");
    terminal.until("in psql");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn an_answer_that_is_no_choice_is_refused_before_anything_is_asked_for() {
    let plane = two_of_each();
    let mut terminal = Terminal::start(&Home::at(&plane.url), &["session", "create"], |_| ());
    terminal.until("Target (pg-local, shop): ");
    terminal.types("\n");
    terminal.until("is none of: pg-local, shop");
    assert_eq!(terminal.ends(), 2);
    assert_eq!(plane.count("POST", "/v1/sessions"), 0);
}

#[test]
fn nothing_is_asked_where_it_was_forbidden() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url).var("GK_NO_INPUT", "1");
    let mut terminal = Terminal::start(&home, &["session", "create"], |_| ());
    terminal.until("--target is missing");
    assert_eq!(terminal.ends(), 2);
}

#[test]
fn a_child_of_exec_keeps_the_terminal_and_ctrl_c_reaches_it_once() {
    let plane = Scripted::good();
    let script =
        "trap 'echo caught' INT; test -t 0 && test -t 1 && test -t 2 && echo ready; read line; read line; exit 5";
    let line = words("exec --target pg-local --role app_read --ttl 15m -- sh -c");
    let mut terminal = Terminal::start(&Home::at(&plane.url), &[&line[..], &[script]].concat(), |_| ());
    terminal.until("ready");
    terminal.types("\u{3}");
    terminal.until("caught");
    terminal.types("one\ntwo\n");
    assert_eq!(terminal.seen.matches("caught").count(), 1, "{}", terminal.seen);
    assert_eq!(terminal.ends(), 5, "gk outlives Ctrl-C and exits as its child");
    assert_eq!(plane.count("POST", &format!("/v1/sessions/{}/revoke", session())), 1);
}

#[test]
fn ctrl_c_at_the_question_for_a_reason_ends_gk() {
    let plane = Scripted::start(|seen| {
        let asked = seen.is("POST", "/v1/sessions");
        asked.then(|| Reply::problem(ErrorCode::ReasonRequired, "policy wants a reason"))
    });
    let line = words("session create --target pg-local --role app_read --ttl 15m");
    let mut terminal = Terminal::start(&Home::at(&plane.url), &line, |_| ());
    terminal.until("Reason: ");
    terminal.types("\u{3}");
    terminal.until("nothing was made");
    assert_eq!(terminal.ends(), 130);
    assert_eq!(plane.seen().len(), 1);
}
