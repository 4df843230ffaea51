//! `cargo xtask demo`: a session from request to the proof of its end, on this machine, typed out.
//!
//! What it prints is a transcript: the commands are run as they stand there, by a shell, with the real `gk` and `psql`,
//! and what follows is what they said. Only passwords are shortened. Every step is held against what it should show;
//! the first that differs ends the demo with exit code 1. Nothing is left running and nothing is left on disk.

mod place;
mod stage;
mod story;
mod transcript;

use crate::process::run;
use crate::servers;
use crate::step::{Failure, Outcome};
use crate::workspace::Workspace;
use gk_local_postgres::{Binaries, Search, find};
use place::Place;
use stage::Stage;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;
use transcript::Transcript;

/// Watch a session from request to the proof of its end, on a private Postgres
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Directory that holds `postgres` and `initdb`, where they are not found by themselves
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
}

impl DemoArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        eprintln!("── building gk (debug build; the first one takes a few minutes)");
        run(&mut workspace.cargo(["build", "--locked", "--package", "gk-cli", "--bin", "gk"]))?;
        let server = server(workspace, self.pg_bin.as_ref())?;
        let begun = Instant::now();
        let place = Place::make()?;
        let stage = Stage::open(&place, &workspace.target_dir.join("debug"), &server, &search_path())?;
        let told = story::tell(&Transcript::new(&stage), &stage);
        let closed = stage.close();
        let removed = place.remove();
        told.and(closed).and(removed)?;
        eprintln!(
            "✓  cargo xtask demo: every step was as it should be, {:.1} s after the build",
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }
}

/// A server with its `psql`; installed where that can be done without asking.
fn server(workspace: &Workspace, named: Option<&PathBuf>) -> Outcome<Binaries> {
    let look = || find(&Search::system(named.cloned(), Some(search_path())));
    let found = match look() {
        Ok(found) => found,
        Err(error) if named.is_some() => return Err(Failure::new(error)),
        Err(error) => {
            eprintln!("── no Postgres server here; installing the system's");
            servers::install_from_system(workspace).map_err(|failure| Failure::new(format!("{error} ({failure})")))?;
            look().map_err(Failure::new)?
        }
    };
    if on_path("psql").is_none() && !found.program("psql").is_file() {
        return Err(Failure::new(format!(
            "there is a server in {}, but no psql: install the PostgreSQL client",
            found.dir().display()
        )));
    }
    Ok(found)
}

fn search_path() -> OsString {
    #[expect(clippy::disallowed_methods, reason = "programs are found as the person's shell finds them")]
    std::env::var_os("PATH").unwrap_or_default()
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|dir| dir.join(program)).find(|path: &PathBuf| Path::is_file(path))
}
