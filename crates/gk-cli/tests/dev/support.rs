//! `gk dev` as a child, in a home of its own, driven as its users drive it.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a machine that compiles at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A user's directories, gone when it is dropped.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    /// The user, where it is not the one who runs the tests.
    uid: Option<u32>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("gk-dev-test-").tempdir_in("/var/tmp").unwrap();
        // As root the server runs as somebody else, who has to pass through.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        Self { dir, uid: None }
    }

    /// The home of another user; only root can have it made.
    pub(crate) fn of(uid: u32) -> Self {
        let mut home = Self::new();
        home.uid = Some(uid);
        chown(home.dir.path(), Some(uid), Some(uid)).unwrap();
        fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// `gk` with these arguments, as this user, and with nothing of the environment of the tests but PATH.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_gk")), args)
    }

    fn program(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(gk_testkit::counters()).current_dir(self.path()).stdin(Stdio::null());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.path()).env("LC_ALL", "C.UTF-8");
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    pub(crate) fn gk(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `gk`, which must succeed, and gives its stdout without the line end.
    pub(crate) fn gk_ok(&self, args: &[&str]) -> String {
        let output = self.gk(args);
        assert!(output.status.success(), "gk {args:?} ended with {}: {}", output.status, text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// Starts `gk dev` on any free port and waits until it is ready.
    pub(crate) fn dev(&self, more: &[&str]) -> Dev {
        let data = self.data();
        let mut args = vec!["dev", "--json", "--data-dir", data.to_str().unwrap()];
        if !more.contains(&"--listen") {
            args.extend(["--listen", "127.0.0.1:0"]);
        }
        args.extend(more);
        Dev::start(self.command(&args))
    }

    /// The same from a copy of the program, for users who cannot reach the build directory.
    pub(crate) fn dev_with(&self, program: &Path) -> Dev {
        let data = self.data();
        Dev::start(
            self.program(program, &["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()]),
        )
    }

    /// A session's connection string.
    pub(crate) fn session(&self, role: &str, ttl: &str) -> String {
        self.gk_ok(&["session", "create", "--target", "pg-local", "--role", role, "--ttl", ttl, "--reason", "test"])
    }
}

impl Drop for Home {
    /// A server that outlived its `gk` outlives the test, too, if that fails in between.
    fn drop(&mut self) {
        if let Some(left) = postmaster(&self.data()).filter(|&pid| is_alive(pid)) {
            let _ = kill_process(left, Signal::QUIT);
        }
    }
}

/// A running `gk dev`. Dropping it stops it.
pub(crate) struct Dev {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) ready: Value,
}

impl Dev {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        // Read all the time, so that the child never waits for us; shown where the start fails.
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said);
            said
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            let status = child.wait().unwrap();
            panic!("gk dev ended with {status}: {}", said.join().unwrap());
        }
        Self { child, stdout, ready: serde_json::from_str(&line).unwrap() }
    }

    pub(crate) fn get(&self, pointer: &str) -> &str {
        self.ready.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {}", self.ready))
    }

    pub(crate) fn postgres_port(&self) -> u16 {
        self.ready.pointer("/postgres/port").and_then(Value::as_u64).unwrap().try_into().unwrap()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The postmaster, as its pid file says.
    pub(crate) fn postmaster(&self) -> Pid {
        postmaster(Path::new(self.get("/dataDir"))).unwrap()
    }

    /// Asks for an orderly stop and waits for it; gives what else stood on stdout.
    pub(crate) fn stop(mut self, signal: Signal) -> (ExitStatus, String) {
        kill_process(self.pid(), signal).unwrap();
        let status = self.wait();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (status, rest)
    }

    /// As a crash would end it.
    pub(crate) fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "gk dev did not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            let _ = kill_process(self.pid(), Signal::TERM);
            let deadline = Instant::now() + Duration::from_secs(30);
            while self.child.try_wait().unwrap().is_none() {
                if Instant::now() > deadline {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The server of a data directory, if its pid file names one.
pub(crate) fn postmaster(data_dir: &Path) -> Option<Pid> {
    let text = fs::read_to_string(data_dir.join("postgres/postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.parse().ok()?)
}

pub(crate) fn is_alive(pid: Pid) -> bool {
    // Somebody else's process is alive, too.
    test_kill_process(pid).is_ok_and(|()| !is_zombie(pid))
}

fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// psql with one statement, as a user with a connection string would run it.
pub(crate) fn psql(dsn: &str, sql: &str) -> Output {
    Command::new("psql").args(["-XAtq", dsn, "-c", sql]).env("LC_ALL", "C").stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn psql_ok(dsn: &str, sql: &str) -> String {
    let output = psql(dsn, sql);
    assert!(output.status.success(), "{sql}: {}", text(&output.stderr));
    text(&output.stdout).trim_end().to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An error as `--json` prints it.
pub(crate) fn error(output: &Output) -> Value {
    let said = text(&output.stderr);
    let line = said.lines().find(|line| line.contains("gk.error.v1"));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no error object: {said}"))).unwrap()
}
