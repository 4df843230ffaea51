//! Where a test keeps its files and from where it runs programs, as a user would from a shell of his own.
//!
//! Always holds: a program gets an environment of ours, never the machine's; it is ended after a minute, and when the
//! test ends.

use crate::ran::Ran;
use gk_testkit::counters;
use std::ffi::OsStr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(60);

/// One of our programs, as it was built beside the running test.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let found = programs().join(name);
    assert!(
        found.is_file(),
        "{} is missing: cargo build --workspace --bins first (cargo xtask test does)",
        found.display()
    );
    found
}

/// `target/<profile>`: a program runs from there, a test from `target/<profile>/deps`.
fn programs() -> PathBuf {
    let running = std::env::current_exe().expect("a running program knows its own path");
    let dirs = running.ancestors().skip(1).map(Path::to_owned);
    let mut dirs = dirs.skip_while(|dir| dir.file_name().is_some_and(|name| name == "deps"));
    dirs.next().expect("a program lies in a directory")
}

/// Somebody with a token.
#[derive(Debug, Clone)]
pub struct Person {
    /// Name, as the control plane knows it.
    pub name: String,
    /// Token.
    pub token: String,
    /// File that holds it.
    pub token_file: PathBuf,
}

/// A private directory and an environment.
#[derive(Debug)]
pub struct Room {
    dir: TempDir,
    env: Vec<(String, String)>,
}

impl Room {
    /// A room in which the programs of `postgres` (its `bin` directory) and our own are on the path.
    #[must_use]
    pub fn new(postgres: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("gk-e2e-").tempdir().expect("a temporary directory can be made");
        let path = [postgres, &programs(), Path::new("/usr/bin"), Path::new("/bin")];
        let path = std::env::join_paths(path).expect("no directory here has a colon in its name");
        let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        let env = vec![
            ("PATH".to_owned(), path.to_string_lossy().into_owned()),
            ("HOME".to_owned(), at("home")),
            ("GK_CONFIG_DIR".to_owned(), at("gk-config")),
            ("GK_STATE_DIR".to_owned(), at("gk-state")),
            ("GK_SYSTEM_CONFIG".to_owned(), at("none.toml")),
            ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
        ];
        std::fs::create_dir(dir.path().join("home")).expect("the directory is ours");
        let mut dir = dir;
        #[expect(
            clippy::disallowed_methods,
            reason = "whoever looks for a fault wants the logs of a test that is over"
        )]
        dir.disable_cleanup(std::env::var_os("GK_E2E_KEEP").is_some());
        Self { dir, env }
    }

    /// Sets a variable for everything that is run here from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that others may read, and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        self.put(name, text, 0o644)
    }

    /// Writes a file that nobody else may read, and gives its path.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        self.put(name, text, 0o600)
    }

    fn put(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path);
        let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        written.unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
        path
    }

    /// A file's text.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
    }

    /// Somebody with this token.
    pub fn person(&self, name: &str, token: &str) -> Person {
        let token_file = self.secret(&format!("{name}.token"), &format!("{token}\n"));
        Person { name: name.to_owned(), token: token.to_owned(), token_file }
    }

    /// A command that starts here, in our environment, and that dies with the test.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(self.found(program.as_ref()));
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value))).envs(counters());
        command.current_dir(self.dir.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `Command` looks on this process's path, not on the child's.
    fn found(&self, program: &OsStr) -> PathBuf {
        let path = &self.env.iter().find(|(name, _)| name == "PATH").expect("it is set when the room is made").1;
        let found = std::env::split_paths(path).map(|dir| dir.join(program)).find(|path| path.is_file());
        found.unwrap_or_else(|| self::program(&program.to_string_lossy()))
    }

    /// Runs a program to its end.
    pub async fn run(&self, program: &str, args: &[&str]) -> Ran {
        let mut command = self.command(program);
        command.args(args);
        finish(&format!("{program} {}", args.join(" ")), command).await
    }

    /// Runs a script in the system's own shell, as a user would paste it.
    pub async fn sh(&self, script: &str) -> Ran {
        let mut command = self.command("sh");
        command.args(["-c", script]);
        finish(script, command).await
    }
}

/// Runs a command to its end.
///
/// # Panics
/// It cannot be started, or takes longer than a minute.
pub(crate) async fn finish(shown: &str, mut command: Command) -> Ran {
    let begun = Instant::now();
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{shown} has not ended after {PATIENCE:?}"));
    let output = output.unwrap_or_else(|error| panic!("starting {shown}: {error}"));
    let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal));
    Ran {
        command: shown.to_owned(),
        code: code.expect("a finished program has a code or was ended by a signal"),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: begun.elapsed(),
    }
}
