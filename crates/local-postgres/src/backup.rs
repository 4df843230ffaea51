//! A cluster made from a running server: a base backup, at rest or as a standby that follows its source.
//!
//! Always holds: what lies at the place of the new cluster is a whole backup or nothing.

use crate::binaries::Binaries;
use crate::cluster::{Cluster, Place, last_lines, prepare_command};
use crate::error::ClusterError;
use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// A server on this machine that is copied while it runs, and the login of who may.
#[derive(Debug, Clone)]
pub struct Source {
    port: u16,
    user: String,
    password: SecretString,
}

impl Source {
    /// The server on this port of 127.0.0.1, asked by this superuser.
    #[must_use]
    pub fn new(port: u16, user: &str, password: SecretString) -> Self {
        Self { port, user: user.to_owned(), password }
    }
}

/// What the copy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Afterwards {
    /// It stays as it is: a backup.
    Rest,
    /// Once started it follows its source as a standby, over the replication slot of this name.
    Follow(String),
}

impl Cluster {
    /// Makes a new cluster at `data_dir`, which must be empty or absent, as a base backup of a running server.
    ///
    /// A standby's settings hold the source's password, in a file that only its owner can read.
    pub async fn backup(
        binaries: Binaries,
        source: &Source,
        data_dir: &Path,
        afterwards: &Afterwards,
    ) -> Result<Self, ClusterError> {
        let place = Place::prepare(&binaries, data_dir)?;
        place.make()?;
        let made = run_basebackup(&binaries, source, &place, afterwards).await.and_then(|()| match afterwards {
            Afterwards::Rest => Ok(()),
            Afterwards::Follow(slot) => follow(source, slot, &place),
        });
        if made.is_err() {
            // What is left is in nobody's way: the next try clears it.
            let _ = fs::remove_dir_all(&place.partial);
        }
        made.and_then(|()| place.settle(binaries))
    }
}

async fn run_basebackup(
    binaries: &Binaries,
    source: &Source,
    place: &Place,
    afterwards: &Afterwards,
) -> Result<(), ClusterError> {
    let mut command = Command::new(binaries.program("pg_basebackup"));
    prepare_command(&mut command, &place.account);
    command
        .args(["--host=127.0.0.1", "--checkpoint=fast", "--no-sync", "--no-password", "--wal-method=stream"])
        .arg(format!("--port={}", source.port))
        .arg(format!("--username={}", source.user))
        .arg("--pgdata")
        .arg(&place.partial)
        .env("PGPASSWORD", source.password.expose_secret());
    if let Afterwards::Follow(slot) = afterwards {
        command.arg("--create-slot").arg(format!("--slot={slot}"));
    }
    let output = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(ClusterError::io("running", binaries.program("pg_basebackup")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ClusterError::Backup { output: last_lines(&String::from_utf8_lossy(&said), 5) })
}

/// What makes a standby of it. The program could write this too, but in the words of its own libpq, which may be newer
/// than the server's.
fn follow(source: &Source, slot: &str, place: &Place) -> Result<(), ClusterError> {
    let Source { port, user, password } = source;
    let (settings, signal) = (place.partial.join("postgresql.auto.conf"), place.partial.join("standby.signal"));
    let text = format!(
        "primary_conninfo = 'host=127.0.0.1 port={port} user={user} password={}'\nprimary_slot_name = '{slot}'\n",
        password.expose_secret()
    );
    let file = fs::OpenOptions::new().append(true).open(&settings);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(ClusterError::io("writing", settings))?;
    let made = fs::write(&signal, "").and_then(|()| place.account.take_over(&signal));
    made.map_err(ClusterError::io("writing", signal))
}
