//! A cluster at rest: its data directory, made by `initdb` or as a copy of another, held by one process.

use crate::account::Account;
use crate::binaries::Binaries;
use crate::copy::copy_tree;
use crate::discard::remove_files;
use crate::error::ClusterError;
use crate::lock::{DirLock, beside};
use crate::partial;
use crate::pidfile::clear_survivor;
use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a new cluster is made.
#[derive(Debug)]
pub struct InitOptions {
    superuser: String,
    password: SecretString,
    sync: bool,
}

impl InitOptions {
    /// A durable cluster with this superuser, who logs in by this password.
    #[must_use]
    pub fn new(superuser: &str, password: SecretString) -> Self {
        Self { superuser: superuser.to_owned(), password, sync: true }
    }

    /// For tests: does not wait until the new files have reached the disk.
    #[must_use]
    pub fn without_sync(self) -> Self {
        Self { sync: false, ..self }
    }
}

/// A stopped cluster that this process holds.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) binaries: Binaries,
    pub(crate) data_dir: PathBuf,
    pub(crate) account: Account,
    _lock: DirLock,
}

impl Cluster {
    /// Whether a whole cluster lies at `data_dir`.
    ///
    /// Half of one never does: a cluster is made beside its place and renamed into it.
    #[must_use]
    pub fn exists(data_dir: &Path) -> bool {
        data_dir.join("PG_VERSION").is_file()
    }

    /// Makes a new cluster at `data_dir`, which must be empty or absent.
    pub async fn init(binaries: Binaries, data_dir: &Path, options: &InitOptions) -> Result<Self, ClusterError> {
        let place = Place::prepare(&binaries, data_dir)?;
        place.make()?;
        let made = run_initdb(&binaries, &place, options).await;
        if made.is_err() {
            // What is left is in nobody's way: the next try clears it.
            let _ = fs::remove_dir_all(&place.partial);
        }
        made.and_then(|()| place.settle(binaries))
    }

    /// Makes a new cluster at `data_dir` as a copy of the stopped one at `template`.
    ///
    /// The caller sees to it that nobody starts the template meanwhile.
    pub fn copy(binaries: Binaries, template: &Path, data_dir: &Path) -> Result<Self, ClusterError> {
        if !Self::exists(template) {
            return Err(ClusterError::NotACluster { data_dir: template.to_path_buf() });
        }
        let place = Place::prepare(&binaries, data_dir)?;
        copy_tree(template, &place.partial, &place.account)?;
        place.settle(binaries)
    }

    /// Opens the cluster at `data_dir`; whoever owns the directory will run its server.
    pub fn open(binaries: Binaries, data_dir: &Path) -> Result<Self, ClusterError> {
        let data_dir = absolute(data_dir)?;
        if !Self::exists(&data_dir) {
            return Err(ClusterError::NotACluster { data_dir });
        }
        let lock = DirLock::take(&data_dir)?;
        check_major(&binaries, &data_dir)?;
        let account = account_for(&data_dir)?;
        check_reach(&account, [data_dir.as_path(), binaries.dir()])?;
        Ok(Self { binaries, data_dir, account, _lock: lock })
    }

    /// The data directory, as an absolute path.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The binaries that run it.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Where its server logs to: a file beside the data directory that only its owner can read.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        beside(&self.data_dir, ".log")
    }

    /// Stops a server that outlived its owner and still works here; the start does the same by itself.
    pub async fn stop_survivor(&self) -> Result<(), ClusterError> {
        clear_survivor(&self.data_dir).await
    }

    /// Removes the cluster with its log and its lock file.
    pub fn remove(self) -> Result<(), ClusterError> {
        remove_files(&self.data_dir)
    }
}

/// A place where a cluster is about to be made: locked, reachable, and free.
pub(crate) struct Place {
    data_dir: PathBuf,
    /// Where it is made before it is renamed into place.
    pub(crate) partial: PathBuf,
    pub(crate) account: Account,
    lock: DirLock,
}

impl Place {
    pub(crate) fn prepare(binaries: &Binaries, data_dir: &Path) -> Result<Self, ClusterError> {
        let data_dir = absolute(data_dir)?;
        let parent = data_dir.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(ClusterError::io("creating", parent))?;
        let lock = DirLock::take(&data_dir)?;
        let account = Account::for_new_cluster()?;
        check_reach(&account, [parent, binaries.dir()])?;
        match fs::read_dir(&data_dir).map(|mut entries| entries.next().is_some()) {
            Ok(true) => return Err(ClusterError::NotEmpty { data_dir }),
            Ok(false) => fs::remove_dir(&data_dir).map_err(ClusterError::io("replacing", &data_dir))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ClusterError::io("reading", &data_dir)(error)),
        }
        partial::clear(&data_dir)?;
        Ok(Self { partial: partial::new_name(&data_dir), data_dir, account, lock })
    }

    /// Makes the empty directory that a program of Postgres fills.
    pub(crate) fn make(&self) -> Result<(), ClusterError> {
        let made = fs::DirBuilder::new().mode(0o700).create(&self.partial);
        made.map_err(ClusterError::io("creating", &self.partial))?;
        self.account.take_over(&self.partial).map_err(ClusterError::io("changing the owner of", &self.partial))
    }

    pub(crate) fn settle(self, binaries: Binaries) -> Result<Cluster, ClusterError> {
        fs::rename(&self.partial, &self.data_dir).map_err(ClusterError::io("moving into place", &self.data_dir))?;
        Ok(Cluster { binaries, data_dir: self.data_dir, account: self.account, _lock: self.lock })
    }
}

async fn run_initdb(binaries: &Binaries, place: &Place, options: &InitOptions) -> Result<(), ClusterError> {
    let password_file = PasswordFile::write(place, &options.password)?;
    let mut command = Command::new(binaries.program("initdb"));
    command
        .args([
            "--encoding=UTF8",
            "--auth-host=scram-sha-256",
            "--auth-local=reject",
            "--wal-segsize=1",
            "--no-instructions",
        ])
        .arg(format!("--locale={}", if cfg!(target_os = "linux") { "C.UTF-8" } else { "C" }))
        .arg(format!("--username={}", options.superuser))
        .arg("--pwfile")
        .arg(&password_file.path)
        .arg("--pgdata")
        .arg(&place.partial)
        .args((!options.sync).then_some("--no-sync"));
    prepare_command(&mut command, &place.account);
    let output = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(ClusterError::io("running", binaries.program("initdb")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ClusterError::Init { output: last_lines(&String::from_utf8_lossy(&said), 5) })
}

/// What every server program of ours gets: no environment, no terminal, no directory it might not be let into.
pub(crate) fn prepare_command(command: &mut Command, account: &Account) {
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir("/").stdin(Stdio::null());
    account.run_as(command);
}

/// The superuser's first password, in a file that lives as long as `initdb` needs it.
///
/// `initdb` takes a password from a real file only. The name is fixed so that one left by a crash is overwritten.
struct PasswordFile {
    path: PathBuf,
}

impl PasswordFile {
    fn write(place: &Place, password: &SecretString) -> Result<Self, ClusterError> {
        let path = beside(&place.data_dir, ".password");
        let written = Self { path };
        let _ = fs::remove_file(&written.path);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&written.path);
        file.and_then(|mut file| writeln!(file, "{}", password.expose_secret()))
            .and_then(|()| place.account.take_over(&written.path))
            .map_err(ClusterError::io("writing", &written.path))?;
        Ok(written)
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a password file could not be removed; remove it by hand");
        }
    }
}

/// The last `count` lines of `text`.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn absolute(path: &Path) -> Result<PathBuf, ClusterError> {
    std::path::absolute(path).map_err(ClusterError::io("resolving", path))
}

fn check_major(binaries: &Binaries, data_dir: &Path) -> Result<(), ClusterError> {
    let path = data_dir.join("PG_VERSION");
    let made_by = fs::read_to_string(&path).map_err(ClusterError::io("reading", path))?.trim().to_owned();
    let major = binaries.version().major;
    if made_by == major.to_string() {
        return Ok(());
    }
    Err(ClusterError::OtherMajor { data_dir: data_dir.to_path_buf(), made_by, binaries: major })
}

/// The account that can run the server of an existing data directory: its owner and nobody else.
fn account_for(data_dir: &Path) -> Result<Account, ClusterError> {
    let owner = fs::metadata(data_dir).map_err(ClusterError::io("reading", data_dir))?.uid();
    let me = rustix::process::geteuid();
    if me.is_root() && owner != 0 {
        return Account::owner_of(data_dir).map_err(ClusterError::io("reading", data_dir));
    }
    if me.is_root() || owner != me.as_raw() {
        return Err(ClusterError::WrongOwner { data_dir: data_dir.to_path_buf(), uid: owner });
    }
    Ok(Account::Own)
}

fn check_reach<'a>(account: &Account, paths: impl IntoIterator<Item = &'a Path>) -> Result<(), ClusterError> {
    let barred = paths.into_iter().find_map(|path| account.barred_by(path).map(|barrier| (path, barrier)));
    match barred {
        None => Ok(()),
        Some((path, barrier)) => Err(ClusterError::Unreachable { path: path.to_path_buf(), barrier }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_log_is_shown() {
        assert_eq!(last_lines("one\n\ntwo\nthree\n", 2), "two\nthree");
        assert_eq!(last_lines("one", 5), "one");
        assert_eq!(last_lines("", 5), "");
    }

    #[test]
    fn a_half_made_cluster_does_not_exist() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Cluster::exists(dir.path()));
        fs::write(dir.path().join("PG_VERSION"), "15\n").unwrap();
        assert!(Cluster::exists(dir.path()));
    }
}
