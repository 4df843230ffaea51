//! A running server, which is our child and never outlives its handle.

use crate::cluster::Cluster;
use crate::error::ClusterError;
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);
/// How long a fast stop may take: its checkpoint writes what is dirty.
const FAST_STOP: Duration = Duration::from_secs(30);
/// How long an immediate stop may take before the server is killed.
const IMMEDIATE_STOP: Duration = Duration::from_secs(5);

/// A Postgres server that takes connections on 127.0.0.1.
///
/// Dropping it stops it at once, as a crash would look to its clients; [`Server::stop`] ends it in order.
#[derive(Debug)]
pub struct Server {
    // Before the cluster: the process ends before the lock on its directory is released.
    process: Process,
    cluster: Cluster,
    log: PathBuf,
    port: u16,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// In order: the next start needs no recovery.
    Clean,
    /// It had to be pressed, or was gone already; the next start recovers from its log.
    Abrupt,
}

impl Server {
    pub(crate) fn new(cluster: Cluster, child: Child, port: u16) -> Self {
        Self { process: Process(child), log: cluster.log_path(), cluster, port }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process.0)
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.cluster.data_dir()
    }

    /// Its log.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// How the server ended, if it has: nobody but [`Server::stop`] should end it.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Waits until the server ends, for whatever reason.
    pub async fn wait(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops the server in order: open transactions are rolled back, clients are told, everything is on disk.
    ///
    /// One that does not end within 30 s is pressed harder, and after 5 s more killed.
    pub async fn stop(mut self) -> Result<(Cluster, Stopped), ClusterError> {
        for (signal, patience) in
            [(Signal::INT, FAST_STOP), (Signal::QUIT, IMMEDIATE_STOP), (Signal::KILL, IMMEDIATE_STOP)]
        {
            self.process.signal(signal);
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if let Some(status) = self.exited() {
                    let how = if status.success() { Stopped::Clean } else { Stopped::Abrupt };
                    return Ok((self.cluster, how));
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Err(ClusterError::Survivor { data_dir: self.cluster.data_dir().to_path_buf(), pid: self.pid().as_raw_pid() })
    }

    /// Kills the server as `kill -9` would and gives its cluster back; what runs on it notices by itself.
    pub fn kill(mut self) -> Result<Cluster, ClusterError> {
        self.process.signal(Signal::KILL);
        self.process.0.wait().map_err(ClusterError::io("waiting for the server of", self.cluster.data_dir()))?;
        Ok(self.cluster)
    }

    /// Leaves the server running with nobody to hold it, as `kill -9` of this process would. For tests.
    #[doc(hidden)]
    pub fn abandon(self) {
        let Self { process, cluster, .. } = self;
        std::mem::forget(process);
        drop(cluster);
    }

    /// The cluster of a server that has ended by itself.
    pub(crate) fn into_cluster(self) -> Cluster {
        self.cluster
    }
}

/// The postmaster. It does not outlive this value.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn exited(&mut self) -> Option<ExitStatus> {
        // An error would mean that it is not our child, which cannot be.
        self.0.try_wait().ok().flatten()
    }

    /// Sends a signal unless the process has ended: its id may belong to another by then.
    fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            let sent = kill_process(Pid::from_child(&self.0), signal).map_err(io::Error::from);
            if let Err(error) = sent {
                tracing::warn!(%error, "the Postgres server could not be signalled");
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGQUIT first: it lets the server end its backends and release its shared memory, in milliseconds.
        self.signal(Signal::QUIT);
        let deadline = Instant::now() + IMMEDIATE_STOP;
        while self.exited().is_none() {
            if Instant::now() > deadline {
                self.signal(Signal::KILL);
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}
