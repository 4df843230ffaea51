//! Where the server binaries are, and which version they have.
//!
//! A directory counts only when it holds both `postgres` and `initdb` and its `postgres` says a version of
//! [`OLDEST_MAJOR`] or later; a `pg_config` or `psql` alone (client packages) does not.

use crate::install_command;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version that Gatekeeper works on.
pub const OLDEST_MAJOR: u16 = 14;

/// The version of a server binary, as `postgres --version` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PgVersion {
    /// 17 in 17.11.
    pub major: u16,
    /// 11 in 17.11; 0 for a beta or release candidate.
    pub minor: u16,
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A directory with server binaries of a known version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    dir: PathBuf,
    version: PgVersion,
}

impl Binaries {
    /// Looks at one directory.
    pub fn at(dir: &Path) -> Result<Self, FindError> {
        for program in ["postgres", "initdb"] {
            if !dir.join(program).is_file() {
                return Err(FindError::Incomplete { dir: dir.to_path_buf(), missing: program });
            }
        }
        let version =
            version_of(&dir.join("postgres")).ok_or_else(|| FindError::NoVersion { dir: dir.to_path_buf() })?;
        if version.major < OLDEST_MAJOR {
            return Err(FindError::TooOld { dir: dir.to_path_buf(), version });
        }
        Ok(Self { dir: home_of(dir), version })
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The server's version.
    #[must_use]
    pub fn version(&self) -> PgVersion {
        self.version
    }

    /// The path of one program in the directory, such as `psql`. It may not be there: client tools are optional.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Why no usable server binaries were found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Nothing usable in any of the usual places.
    #[error(
        "no PostgreSQL server {OLDEST_MAJOR} or newer on this machine; install one with `{}`, or name the directory that holds `postgres` and `initdb`",
        install_command()
    )]
    NotFound,
    /// The directory that was named lacks a program.
    #[error("{} has no `{missing}`; name the directory that holds both `postgres` and `initdb`, such as /usr/lib/postgresql/17/bin", dir.display())]
    Incomplete {
        /// The directory that was named.
        dir: PathBuf,
        /// The program that is not there.
        missing: &'static str,
    },
    /// The directory's `postgres` does not run.
    #[error("`{}/postgres --version` gives no version; is it a PostgreSQL server for this machine, with the libraries it needs?", dir.display())]
    NoVersion {
        /// The directory that was named.
        dir: PathBuf,
    },
    /// The directory's `postgres` is older than we support.
    #[error("{} has PostgreSQL {version}; Gatekeeper needs {OLDEST_MAJOR} or newer: `{}`", dir.display(), install_command())]
    TooOld {
        /// The directory that was named.
        dir: PathBuf,
        /// The version it has.
        version: PgVersion,
    },
}

impl FindError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "postgres_not_found",
            Self::Incomplete { .. } | Self::NoVersion { .. } => "postgres_unusable",
            Self::TooOld { .. } => "postgres_too_old",
        }
    }
}

/// Where to look for server binaries.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The directory the user named: nothing else is looked at.
    explicit: Option<PathBuf>,
    /// The value of `PATH`.
    path: Option<OsString>,
    /// Directories whose children may be installations, with what leads from a child to its binaries.
    roots: Vec<PathBuf>,
}

impl Search {
    /// The usual places of this system: `explicit` alone where it is given, else `path` (the value of `PATH`), then
    /// where packages put each major version, the newest first.
    #[must_use]
    pub fn system(explicit: Option<PathBuf>, path: Option<OsString>) -> Self {
        let roots = [
            "/usr/lib/postgresql",
            "/usr/local/lib/postgresql",
            "/usr/libexec",
            "/opt/homebrew/opt",
            "/usr/local/opt",
            "/usr",
        ];
        Self { explicit, path, roots: roots.map(PathBuf::from).to_vec() }
    }

    fn on_path(&self) -> impl Iterator<Item = Binaries> {
        let path = self.path.clone().unwrap_or_default();
        let dirs: Vec<PathBuf> = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect();
        dirs.into_iter().flat_map(|dir| [Binaries::at(&dir).ok(), bindir_of(&dir.join("pg_config"))]).flatten()
    }

    fn installed(&self) -> Vec<Binaries> {
        let mut found: Vec<Binaries> =
            self.roots.iter().flat_map(|root| installations(root)).filter_map(|dir| Binaries::at(&dir).ok()).collect();
        found.sort_by_key(|binaries| std::cmp::Reverse(binaries.version));
        found.dedup();
        found
    }
}

/// The binaries to use: the directory that was named, else those on `PATH`, else the newest that is installed.
pub fn find(search: &Search) -> Result<Binaries, FindError> {
    if let Some(dir) = &search.explicit {
        return Binaries::at(dir);
    }
    let on_path = search.on_path().next();
    on_path.or_else(|| search.installed().into_iter().next()).ok_or(FindError::NotFound)
}

/// Every usable installation in the places that `search` names, those on `PATH` first, then the newest first.
#[must_use]
pub fn find_all(search: &Search) -> Vec<Binaries> {
    let mut all: Vec<Binaries> = match &search.explicit {
        Some(dir) => Binaries::at(dir).into_iter().collect(),
        None => search.on_path().chain(search.installed()).collect(),
    };
    let mut seen = Vec::new();
    all.retain(|binaries| {
        !seen.contains(&binaries.dir) && {
            seen.push(binaries.dir.clone());
            true
        }
    });
    all
}

/// Directories below `root` that hold the binaries of one version: `17/bin` (Debian), `postgresql17` (Alpine),
/// `postgresql@17/bin` (Homebrew), `pgsql-17/bin` (the Postgres project's own packages for Fedora).
fn installations(root: &Path) -> Vec<PathBuf> {
    let Ok(children) = std::fs::read_dir(root) else { return Vec::new() };
    let versioned = |name: &str| {
        let tail =
            ["postgresql@", "postgresql", "pgsql-"].iter().find_map(|head| name.strip_prefix(head)).unwrap_or(name);
        tail.is_empty() || tail.bytes().all(|byte| byte.is_ascii_digit())
    };
    children
        .flatten()
        .filter(|child| child.file_name().to_str().is_some_and(versioned))
        .flat_map(|child| [child.path().join("bin"), child.path()])
        .filter(|dir| dir.join("postgres").is_file())
        .collect()
}

/// Where the programs of `dir` really are: distributions put links to some of them, rarely to all, on `PATH`.
fn home_of(dir: &Path) -> PathBuf {
    let real = dir.join("postgres").canonicalize().ok().and_then(|postgres| postgres.parent().map(Path::to_path_buf));
    real.filter(|real| real.join("initdb").is_file())
        .unwrap_or_else(|| std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf()))
}

fn bindir_of(pg_config: &Path) -> Option<Binaries> {
    if !pg_config.is_file() {
        return None;
    }
    let output = Command::new(pg_config).arg("--bindir").output().ok()?;
    Binaries::at(Path::new(String::from_utf8(output.stdout).ok()?.trim())).ok()
}

fn version_of(postgres: &Path) -> Option<PgVersion> {
    let output = Command::new(postgres).arg("--version").env_clear().output().ok()?;
    parse_version(&String::from_utf8(output.stdout).ok()?)
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` and `postgres (PostgreSQL) 18beta1`.
fn parse_version(text: &str) -> Option<PgVersion> {
    let number = text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = if number.contains('.') { parts.next()?.parse().ok()? } else { 0 };
    Some(PgVersion { major, minor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn fake(dir: &Path, version: &str) -> PathBuf {
        std::fs::create_dir_all(dir).unwrap();
        for program in ["postgres", "initdb"] {
            let path = dir.join(program);
            std::fs::write(&path, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        dir.to_path_buf()
    }

    fn search(roots: &Path, path: Option<&Path>) -> Search {
        Search { explicit: None, path: path.map(Into::into), roots: vec![roots.to_path_buf()] }
    }

    #[test]
    fn versions_are_read_as_each_packager_prints_them() {
        let version = |text| parse_version(text).map(|v| (v.major, v.minor));
        assert_eq!(version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some((15, 18)));
        assert_eq!(version("postgres (PostgreSQL) 18beta1\n"), Some((18, 0)));
        assert_eq!(version("postgres (PostgreSQL) 17.11\n"), Some((17, 11)));
        assert_eq!(version("postgres: command not found\n"), None);
    }

    #[test]
    fn the_newest_installation_is_taken_and_a_too_old_one_never() {
        let root = tempfile::tempdir().unwrap();
        fake(&root.path().join("9/bin"), "9.6.24");
        fake(&root.path().join("15/bin"), "15.18");
        let newest = fake(&root.path().join("postgresql@17/bin"), "17.11");
        std::fs::create_dir_all(root.path().join("18/bin")).unwrap();
        assert_eq!(find(&search(root.path(), None)).unwrap().dir(), newest);
        let all: Vec<u16> = find_all(&search(root.path(), None)).iter().map(|b| b.version().major).collect();
        assert_eq!(all, [17, 15]);
    }

    #[test]
    fn what_is_on_path_comes_before_what_is_newer() {
        let root = tempfile::tempdir().unwrap();
        fake(&root.path().join("17/bin"), "17.11");
        let own = fake(&root.path().join("own"), "15.2");
        assert_eq!(find(&search(root.path(), Some(&own))).unwrap().dir(), own);
    }

    #[test]
    fn links_on_path_lead_to_the_directory_with_all_the_programs() {
        let root = tempfile::tempdir().unwrap();
        let real = fake(&root.path().canonicalize().unwrap().join("real"), "17.11");
        let links = root.path().join("links");
        std::fs::create_dir(&links).unwrap();
        for program in ["postgres", "initdb"] {
            std::os::unix::fs::symlink(real.join(program), links.join(program)).unwrap();
        }
        assert_eq!(Binaries::at(&links).unwrap().dir(), real);
    }

    #[test]
    fn a_directory_that_was_named_is_the_only_one_looked_at() {
        let root = tempfile::tempdir().unwrap();
        fake(&root.path().join("17/bin"), "17.11");
        let old = fake(&root.path().join("old"), "13.9");
        let named =
            |dir: &Path| find(&Search { explicit: Some(dir.to_path_buf()), ..search(root.path(), None) }).unwrap_err();
        assert_eq!(named(&old).code(), "postgres_too_old");
        let empty = named(root.path());
        assert_eq!(empty.code(), "postgres_unusable");
        assert!(empty.to_string().contains("has no `postgres`"), "{empty}");
    }

    #[test]
    fn where_there_is_none_the_error_names_the_command_that_brings_one() {
        let root = tempfile::tempdir().unwrap();
        let error = find(&search(root.path(), None)).unwrap_err();
        assert_eq!(error, FindError::NotFound);
        assert!(error.to_string().contains(install_command()), "{error}");
    }
}
