//! `gk dev` as a child, and a shell beside it in which everything else is typed.

use super::on_path;
use super::place::Place;
use crate::step::{Failure, Outcome};
use gk_local_postgres::Binaries;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long `gk dev` may take to stop.
const STOP: Duration = Duration::from_secs(20);

/// What `gk dev --json` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    /// The control plane.
    pub(crate) address: String,
    /// Version of Postgres.
    pub(crate) postgres: ReadyPostgres,
    /// How long it took.
    pub(crate) ready_in_ms: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReadyPostgres {
    pub(crate) version: String,
    pub(crate) port: u16,
}

/// Everything that runs. Dropping it stops it, too; [`Stage::close`] says when that does not work.
pub(crate) struct Stage {
    dev: Child,
    postmaster: Option<Pid>,
    pub(crate) ready: Ready,
    home: PathBuf,
    path: OsString,
}

impl Stage {
    /// Starts `gk dev` on a free port and waits until it is ready.
    pub(crate) fn open(place: &Place, gk_dir: &Path, server: &Binaries, path: &OsStr) -> Outcome<Self> {
        let mut dirs = vec![gk_dir.to_path_buf()];
        dirs.extend(std::env::split_paths(path));
        if on_path("psql").is_none() {
            dirs.push(server.dir().to_path_buf());
        }
        let path = std::env::join_paths(dirs).map_err(Failure::new)?;
        let home = place.path().to_path_buf();
        let log = place.path().join("gk-dev.stderr");
        let stderr =
            fs::File::create(&log).map_err(|error| Failure::new(format!("creating {}: {error}", log.display())))?;
        let mut command = Command::new(gk_dir.join("gk"));
        command.args(["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir"]).arg(place.data());
        command.arg("--pg-bin").arg(server.dir());
        isolate(&mut command, &home, &path);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn();
        let dev = child.map_err(|error| Failure::new(format!("running gk dev: {error}")))?;
        let mut stage = Self { dev, postmaster: None, ready: Ready::nothing(), home, path };
        let said = || fs::read_to_string(&log).unwrap_or_default();
        stage.ready =
            stage.wait_until_ready().map_err(|failure| Failure::new(format!("gk dev: {failure}\n{}", said())))?;
        stage.postmaster = postmaster(&place.data());
        Ok(stage)
    }

    fn wait_until_ready(&mut self) -> Outcome<Ready> {
        let stdout = self.dev.stdout.take().ok_or_else(|| Failure::new("has no stdout"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(Failure::new)?;
        serde_json::from_str(&line).map_err(|error| Failure::new(format!("did not say that it is ready: {error}")))
    }

    /// A command line, for the shell of somebody who uses this `gk dev`.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]).stdin(Stdio::null());
        isolate(&mut command, &self.home, &self.path);
        command
    }

    /// Stops everything, and makes sure that it is gone.
    pub(crate) fn close(mut self) -> Outcome {
        self.stop()?;
        let deadline = Instant::now() + STOP;
        while self.postmaster.is_some_and(|pid| test_kill_process(pid).is_ok()) {
            if Instant::now() > deadline {
                return Err(Failure::new("stop: Postgres is still there after gk dev has ended"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn stop(&mut self) -> Outcome {
        let stopped = |error| Failure::new(format!("stop: {error}"));
        if self.dev.try_wait().map_err(stopped)?.is_some() {
            return Err(Failure::new("stop: gk dev ended before it was told to"));
        }
        kill_process(Pid::from_child(&self.dev), Signal::TERM).map_err(|error| stopped(error.into()))?;
        let deadline = Instant::now() + STOP;
        loop {
            match self.dev.try_wait().map_err(stopped)? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Failure::new(format!("stop: gk dev ended with {status}"))),
                None if Instant::now() > deadline => return Err(Failure::new("stop: gk dev does not stop")),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Ready {
    /// Until it has said something.
    fn nothing() -> Self {
        Self { address: String::new(), postgres: ReadyPostgres { version: String::new(), port: 0 }, ready_in_ms: 0 }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.dev.try_wait().is_ok_and(|ended| ended.is_none()) && self.stop().is_err() {
            let _ = self.dev.kill();
            let _ = self.dev.wait();
        }
    }
}

/// A home of its own: the demo never touches the person's contexts and tokens.
fn isolate(command: &mut Command, home: &Path, path: &OsStr) {
    command.env_clear().env("PATH", path).env("HOME", home).env("LC_ALL", "C.UTF-8").current_dir(home);
    // Where a pager or a psqlrc would change what is shown.
    command.env("PAGER", "cat").env("PSQLRC", "/dev/null");
}

fn postmaster(data: &Path) -> Option<Pid> {
    let text = fs::read_to_string(data.join("postgres/postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.parse().ok()?)
}
