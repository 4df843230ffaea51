//! Runs `gk` the way a shell does, in a home of its own.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A home for one test: settings, state, working directory.
pub(crate) struct Home {
    directory: tempfile::TempDir,
    vars: Vec<(String, String)>,
}

/// A good token, for servers that look at nothing but its shape.
pub(crate) fn token() -> String {
    format!("gk_tok_{}", "t".repeat(43))
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code; 128 and the signal where there was one.
    pub(crate) code: i32,
    /// stdout, as it is.
    pub(crate) stdout: String,
    /// stderr, as it is.
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal));
        Self {
            code: code.expect("ended somehow"),
            stdout: String::from_utf8(output.stdout).expect("stdout is text"),
            stderr: String::from_utf8(output.stderr).expect("stderr is text"),
        }
    }

    /// Checks the exit code; shows all where it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Checks that stderr says this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "`{text}` is not in: {}", self.stderr);
        self
    }

    /// Checks that nothing went to stdout.
    #[track_caller]
    pub(crate) fn silent(self) -> Self {
        assert_eq!(self.stdout, "", "stderr: {}", self.stderr);
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), vars: Vec::new() }
    }

    /// A home that is logged in at this address by the environment.
    pub(crate) fn at(address: &str) -> Self {
        Self::new().var("GK_ADDRESS", address).var("GK_TOKEN", &token())
    }

    /// Sets a variable for all runs.
    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file below the home.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("is below the home")).expect("makes directories");
        std::fs::write(&path, bytes).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
        path
    }

    /// The command, not yet run.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gk"));
        command.args(args).current_dir(self.path()).env_clear().envs(gk_testkit::counters());
        command.env("HOME", self.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("GK_SYSTEM_CONFIG", self.path().join("system.toml"));
        // A keyring of whoever runs the tests is not for them.
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").env("XDG_RUNTIME_DIR", self.path());
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `gk` with these words.
    pub(crate) fn gk<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.command(args).output().expect("gk runs"))
    }

    /// Runs `gk` with this on its stdin.
    pub(crate) fn gk_with_stdin<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, stdin: &[u8]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().expect("gk runs");
        let mut pipe = child.stdin.take().expect("is piped");
        // gk may stop reading before all is written.
        let _ = pipe.write_all(stdin);
        drop(pipe);
        Ran::of(child.wait_with_output().expect("gk ends"))
    }
}

/// The words of a command line without quotes.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
