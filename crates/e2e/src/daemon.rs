//! A program that runs beside the test, with its output in a file.
//!
//! Always holds: when a [`Daemon`] is dropped its process is gone, whatever state it was in.

use gk_testkit::counters;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(10);
/// An orderly stop takes at most this long: the agent gives running jobs ten seconds.
const STOP: Duration = Duration::from_secs(20);
/// What is left of it when its test is over gets this long to write its counts.
const LAST_WORD: Duration = Duration::from_secs(5);
/// Lines of its log that a failed test shows.
const SHOWN: usize = 25;

/// A program, whether it runs now or not.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// A program that is not started yet. What it says goes to `log`, which grows over restarts, and whose directory it
    /// starts in.
    #[must_use]
    pub fn new(name: &str, program: &Path, args: &[&str], log: PathBuf) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Self { name: name.to_owned(), program: program.to_owned(), args, env: Vec::new(), log, child: None }
    }

    /// Sets a variable of its environment, which holds nothing else.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts this program and its arguments before the command line from the next start on, such as a shell that does
    /// something first.
    pub fn start_by(&mut self, program: &str, args: &[&str]) {
        let inner = std::mem::replace(&mut self.program, PathBuf::from(program));
        let own = std::mem::take(&mut self.args);
        let words = args.iter().map(|&arg| arg.to_owned());
        self.args = words.chain([inner.to_string_lossy().into_owned()]).chain(own).collect();
    }

    /// Runs another program from the next start on, such as an earlier version of the same.
    pub fn replace_program(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
    }

    /// Starts it.
    ///
    /// # Panics
    /// It runs already, or cannot be started.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} was started twice", self.name);
        let log = |path: &Path| -> std::io::Result<File> { OpenOptions::new().create(true).append(true).open(path) };
        let open = || log(&self.log).unwrap_or_else(|error| panic!("opening {}: {error}", self.log.display()));
        let dir = self.log.parent().expect("a log lies in a directory");
        let child = Command::new(&self.program)
            .args(&self.args)
            .current_dir(dir)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(counters())
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open())
            .spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("starting {}: {error}", self.name)));
    }

    /// Asks it to end and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(begun.elapsed() < STOP, "{} does not end {STOP:?} after TERM", self.name);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends it as `kill -9` does; nothing happens if it does not run.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has just ended by itself is as dead.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Freezes it.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Its exit status if it has ended by itself since it was started.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status =
            self.child.as_mut()?.try_wait().unwrap_or_else(|error| panic!("waiting for {}: {error}", self.name));
        if status.is_some() {
            self.child = None;
        }
        status
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.ended();
        self.child.is_some()
    }

    /// Its process id.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name));
        Pid::from_child(child)
    }

    /// Everything it has said.
    #[must_use]
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Where that is.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap_or_else(|error| panic!("{signal:?} to {}: {error}", self.name));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Counts are written at an orderly end only.
        if counters().is_some() && !std::thread::panicking() && self.runs() {
            self.signal(Signal::TERM);
            let begun = Instant::now();
            while self.runs() && begun.elapsed() < LAST_WORD {
                std::thread::sleep(POLL);
            }
        }
        self.kill9();
        if std::thread::panicking() {
            report(&self.name, &self.log_text());
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failed test's output is where its reader looks")]
fn report(name: &str, log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    eprintln!("the log of {name} ends with:\n{}\n", lines[lines.len().saturating_sub(SHOWN)..].join("\n"));
}
