//! `postmaster.pid`: whether the server is ready, and whether one of an earlier run is still there.
//!
//! Postgres keeps this file for exactly these questions: its own `pg_ctl` reads the eighth line to learn that
//! connections are accepted. A process is taken for this cluster's server only when it *works in* the data directory:
//! a process id alone may have been given to somebody else since.

use crate::error::ClusterError;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(10);

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: Pid,
    pub(crate) ready: bool,
}

impl PidFile {
    pub(crate) fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("postmaster.pid")
    }

    /// Reads the file; `None` where there is none, or none that can be understood yet.
    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(Self::path(data_dir)).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = Pid::from_raw(lines.next()?.trim().parse().ok()?)?;
        // Lines two to seven: directory, start time, port, socket directory, address, shared memory key.
        let ready = lines.nth(6).is_some_and(|status| status.trim() == "ready");
        Some(Self { pid, ready })
    }
}

/// Stops a server of an earlier run that still works in `data_dir`, and clears what a dead one left behind.
///
/// The caller holds the data directory, or knows that nobody does: [`Cluster::start`](crate::Cluster::start) does this
/// by itself.
pub async fn clear_survivor(data_dir: &Path) -> Result<(), ClusterError> {
    let Some(PidFile { pid, .. }) = PidFile::read(data_dir) else { return Ok(()) };
    match relation(pid, data_dir) {
        Relation::Ours => end_survivor(pid, data_dir).await,
        Relation::Gone | Relation::Stranger => {
            tracing::info!(pid = pid.as_raw_pid(), "clearing the pid file of a server that is gone");
            let path = PidFile::path(data_dir);
            std::fs::remove_file(&path).map_err(ClusterError::io("removing", path))
        }
        // Another user's process: not ours to judge. Postgres itself tells a stale file from a live one.
        Relation::Unknown => Ok(()),
    }
}

async fn end_survivor(pid: Pid, data_dir: &Path) -> Result<(), ClusterError> {
    tracing::info!(pid = pid.as_raw_pid(), "stopping the server that outlived an earlier run");
    for (signal, patience) in [(Signal::INT, 10), (Signal::QUIT, 5), (Signal::KILL, 5)] {
        // It may end between the look and the signal; then the wait below sees it gone.
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + Duration::from_secs(patience);
        while Instant::now() < deadline {
            if relation(pid, data_dir) != Relation::Ours {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Err(ClusterError::Survivor { data_dir: data_dir.to_path_buf(), pid: pid.as_raw_pid() })
}

/// What a process id that stands in a pid file has to do with the data directory.
#[derive(Debug, PartialEq, Eq)]
enum Relation {
    Ours,
    Stranger,
    Gone,
    Unknown,
}

#[cfg(target_os = "linux")]
fn relation(pid: Pid, data_dir: &Path) -> Relation {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_pid()));
    match (std::fs::read_link(process.join("cwd")), std::fs::canonicalize(data_dir)) {
        // A shell that stands in the directory is no server.
        (Ok(cwd), Ok(data_dir)) if cwd == data_dir && is_postgres(&process) => Relation::Ours,
        (Ok(_), _) => Relation::Stranger,
        (Err(error), _) if error.kind() == std::io::ErrorKind::PermissionDenied => Relation::Unknown,
        // No such process, or only its zombie.
        (Err(_), _) => Relation::Gone,
    }
}

#[cfg(target_os = "linux")]
fn is_postgres(process: &Path) -> bool {
    std::fs::read_to_string(process.join("comm")).is_ok_and(|name| matches!(name.trim(), "postgres" | "postmaster"))
}

#[cfg(not(target_os = "linux"))]
fn relation(pid: Pid, data_dir: &Path) -> Relation {
    if rustix::process::test_kill_process(pid).is_err_and(|error| error == rustix::io::Errno::SRCH) {
        return Relation::Gone;
    }
    let output =
        std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.as_raw_pid().to_string()]).output();
    let Ok(output) = output else { return Relation::Unknown };
    let command = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = command.contains("postgres") && command.contains(&format!("-D {}", data_dir.display()));
    if ours { Relation::Ours } else { Relation::Stranger }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_only_when_its_file_says_so() {
        let text = |status: &str| format!("4711\n/data\n1700000000\n5432\n\n127.0.0.1\n  123 456\n{status}");
        let pid = Pid::from_raw(4711).unwrap();
        assert_eq!(PidFile::parse(&text("ready   \n")), Some(PidFile { pid, ready: true }));
        assert_eq!(PidFile::parse(&text("starting\n")), Some(PidFile { pid, ready: false }));
        assert_eq!(PidFile::parse("4711\n/data\n"), Some(PidFile { pid, ready: false }));
        assert_eq!(PidFile::parse(""), None);
        assert_eq!(PidFile::parse("0\n"), None);
    }

    #[tokio::test]
    async fn a_process_that_got_the_old_id_is_left_alone_and_the_file_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let mut stranger = std::process::Command::new("sleep").arg("60").current_dir(dir.path()).spawn().unwrap();
        std::fs::write(PidFile::path(dir.path()), format!("{}\n", stranger.id())).unwrap();
        clear_survivor(dir.path()).await.unwrap();
        let still_there = stranger.try_wait().unwrap().is_none();
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        assert!(still_there, "a process that only inherited the id was stopped");
        assert!(!PidFile::path(dir.path()).exists());
    }
}
