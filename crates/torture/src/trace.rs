//! A tracer that lies to a running program: system calls that fail, or that kill it.
//!
//! Always holds: the tracer ends with its owner, and what it traced goes on without it.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ATTACHED: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// What is done to system calls.
#[derive(Debug, Clone, Copy)]
pub struct Injection {
    /// Which, as `strace` names them, with commas.
    pub calls: &'static str,
    /// What happens to them: `error=EIO`, `signal=SIGKILL`.
    pub what: &'static str,
    /// From which on, of each thread; and whether only that one.
    pub when: When,
}

/// Which of the calls.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// All from now on.
    Always,
    /// This one of each thread.
    Nth(u32),
}

/// A tracer at work.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    said: TempDir,
}

impl Tracer {
    /// Attaches to these processes, their threads and what they start from now on.
    ///
    /// # Panics
    /// It cannot be started: the caller has looked at [`crate::need::Need::Strace`].
    pub async fn attach(pids: &[Pid], injection: Injection) -> Self {
        let said = tempfile::Builder::new().prefix("gk-trace-").tempdir().expect("a temporary directory can be made");
        let Injection { calls, what, when } = injection;
        let when = match when {
            When::Always => String::new(),
            When::Nth(n) => format!(":when={n}"),
        };
        let mut command = Command::new("strace");
        command.args(["-f", "-o", &said.path().join("calls").to_string_lossy()]);
        command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:{what}{when}")]);
        for pid in pids {
            command.args(["-p", &pid.as_raw_pid().to_string()]);
        }
        let errors = File::create(said.path().join("errors")).expect("the directory is ours");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn();
        let mut tracer = Self { child: child.expect("strace is here"), said };
        tracer.is_attached().await;
        tracer
    }

    /// It says `attached` for each process.
    async fn is_attached(&mut self) {
        let begun = Instant::now();
        while !self.read("errors").contains("attached") && begun.elapsed() < ATTACHED {
            // Whom it was to trace may be gone already.
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// How many calls were tampered with so far.
    #[must_use]
    pub fn injected(&self) -> usize {
        self.read("calls").matches("(INJECTED)").count()
    }

    /// How many processes or threads were killed under it.
    #[must_use]
    pub fn killed(&self) -> usize {
        self.read("calls").matches("+++ killed by SIGKILL").count()
    }

    fn read(&self, name: &str) -> String {
        let path: PathBuf = self.said.path().join(name);
        fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Asked to end, it lets go of everybody first; killed, it would leave them stopped.
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < ATTACHED {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            std::thread::sleep(POLL * 5);
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A server's process and all its children.
#[must_use]
pub fn family(server: Pid) -> Vec<Pid> {
    let mut all = vec![server];
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    all.extend(pids.filter(|pid| parent(*pid) == Some(server.as_raw_pid())).filter_map(Pid::from_raw));
    all
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}
