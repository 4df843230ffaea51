//! The data directory of `gk dev`: where it is, what lies in it, and who holds it.
//!
//! What always holds: nothing is written into a directory that somebody else filled; one process at a time works in
//! it, by a lock that the kernel frees however that process ends; passwords and tokens lie in `secrets/`, which only
//! its owner can enter.

use super::error::DevError;
use crate::env::Env;
use gk_local_postgres::Account;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What says that a directory is ours.
const MARKER: &str = "gk-dev.marker";
const MARKER_TEXT: &str = "Made by `gk dev`, format 1. `gk dev --fresh` clears what it made here and starts anew.\n";
const LOCK: &str = "gk-dev.lock";
/// Where root keeps it when its home is closed to the user that Postgres runs as.
const ROOT_DIR: &str = "/var/lib/gatekeeper-dev";

/// The data directory, held by this process.
#[derive(Debug)]
pub(crate) struct DevDir {
    root: PathBuf,
    lock: File,
}

/// What the lock file says about its holder.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
}

/// Where things were at the last start, so that the next one puts them there again.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remembered {
    /// Port of Postgres.
    pub(crate) postgres_port: Option<u16>,
    /// Where the control plane listened.
    pub(crate) address: Option<SocketAddr>,
}

/// The directory to use: the one that was named, else `gatekeeper/dev` below the user's data directory.
///
/// Root's home is closed to others, so root's default lies below `/var/lib` there.
pub(crate) fn choose(named: Option<&Path>, env: &Env) -> Result<PathBuf, DevError> {
    let account = Account::for_new_cluster().map_err(gk_local_postgres::ClusterError::from)?;
    if let Some(named) = named {
        let dir = env.absolute(named);
        return match account.barred_by(dir.parent().unwrap_or(&dir)) {
            None => Ok(dir),
            Some(barrier) => Err(DevError::Barred { barrier }),
        };
    }
    let base = env.path("XDG_DATA_HOME").or_else(|| env.path("HOME").map(|home| home.join(".local/share")));
    match base.map(|base| base.join("gatekeeper/dev")) {
        Some(dir) if account.barred_by(&dir).is_none() => Ok(dir),
        Some(_) => Ok(PathBuf::from(ROOT_DIR)),
        None => Err(DevError::NoHome),
    }
}

impl DevDir {
    /// Takes the directory, making it where there is none.
    pub(crate) fn claim(root: &Path) -> Result<Self, DevError> {
        // Root's server runs as somebody else, who has to pass through; the secrets have a directory of their own.
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        fs::DirBuilder::new().recursive(true).mode(mode).create(root).map_err(DevError::io("creating", root))?;
        if !is_ours(root).map_err(DevError::io("reading", root))? {
            return Err(DevError::NotOurs { dir: root.to_path_buf() });
        }
        let lock = take_lock(root)?;
        let made = Self { root: root.to_path_buf(), lock };
        fs::set_permissions(root, fs::Permissions::from_mode(mode)).map_err(DevError::io("opening up", root))?;
        made.write(&made.root.join(MARKER), MARKER_TEXT.as_bytes())?;
        private_dir(&made.secrets())?;
        Ok(made)
    }

    /// Removes everything that earlier runs made here, and nothing else.
    pub(crate) async fn clear(&self) -> Result<(), DevError> {
        gk_local_postgres::discard(&self.cluster()).await?;
        for dir in [self.secrets(), self.agent_state()] {
            remove(&dir, |dir| fs::remove_dir_all(dir))?;
        }
        for file in [self.policy(), self.remembered_file(), self.log(), self.checkpoints()] {
            remove(&file, |file| fs::remove_file(file))?;
        }
        private_dir(&self.secrets())
    }

    /// Tells a second instance where this one listens.
    pub(crate) fn announce(&mut self, address: SocketAddr) -> Result<(), DevError> {
        let path = self.root.join(LOCK);
        write_holder(&mut self.lock, Some(address)).map_err(DevError::io("writing", path))
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Postgres' own data directory.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// The policy file; the user may edit it.
    pub(crate) fn policy(&self) -> PathBuf {
        self.root.join("policy.toml")
    }

    /// Every signed checkpoint of the audit log.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.root.join("audit-checkpoints.ndjson")
    }

    /// What the agent saw of the audit log.
    pub(crate) fn agent_state(&self) -> PathBuf {
        self.root.join("agent")
    }

    /// What control plane and agent log.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("gk-dev.log")
    }

    /// Passwords and tokens.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// What the agent keeps between runs.
    pub(crate) fn remembered(&self) -> Remembered {
        // What cannot be read is as good as a first start: new ports are found.
        fs::read(self.remembered_file()).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Keeps where things are for the next start.
    pub(crate) fn remember(&self, now: &Remembered) -> Result<(), DevError> {
        let text = serde_json::to_vec_pretty(now).expect("ports and addresses are plain JSON");
        self.write(&self.remembered_file(), &text)
    }

    /// Writes a whole file or none of it.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> Result<(), DevError> {
        let partial = path.with_extension("partial");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&partial, path));
        written.map_err(DevError::io("writing", path))
    }

    fn remembered_file(&self) -> PathBuf {
        self.root.join("last-start.json")
    }
}

/// Whether we may work here: it has our marker, or nothing but what a crash before the marker leaves.
fn is_ours(root: &Path) -> std::io::Result<bool> {
    if root.join(MARKER).is_file() {
        return Ok(true);
    }
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name();
        if name != LOCK && name != "gk-dev.partial" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn take_lock(root: &Path) -> Result<File, DevError> {
    let path = root.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(DevError::io("opening", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who it is, is a courtesy: without it the answer is the same.
            let _ = file.read_to_string(&mut text);
            let Holder { pid, address } = serde_json::from_str(&text).unwrap_or_default();
            return Err(DevError::Held { dir: root.to_path_buf(), pid, address });
        }
        Err(TryLockError::Error(source)) => return Err(DevError::io("locking", path)(source)),
    }
    write_holder(&mut file, None).map_err(DevError::io("writing", path))?;
    Ok(file)
}

fn write_holder(file: &mut File, address: Option<SocketAddr>) -> std::io::Result<()> {
    let text = serde_json::to_string(&Holder { pid: std::process::id(), address }).expect("plain JSON");
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{text}")
}

fn private_dir(path: &Path) -> Result<(), DevError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .map_err(DevError::io("creating", path))
}

fn remove(path: &Path, how: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), DevError> {
    match how(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(DevError::io("removing", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_somebody_else_filled_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join("thesis.txt");
        fs::write(&theirs, "years of work").unwrap();
        let refused = DevDir::claim(dir.path()).unwrap_err();
        assert_eq!(refused.code().as_str(), "directory_not_ours");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_crash_leaves_before_the_marker_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LOCK), "{\"pid\":1}").unwrap();
        fs::write(dir.path().join("gk-dev.partial"), "Made").unwrap();
        DevDir::claim(dir.path()).unwrap();
    }

    #[test]
    fn a_second_instance_is_told_who_holds_the_directory_and_where() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = DevDir::claim(dir.path()).unwrap();
        let me = std::process::id();
        let early = DevDir::claim(dir.path()).unwrap_err();
        assert!(matches!(early, DevError::Held { pid, address: None, .. } if pid == me), "{early}");

        let address = "127.0.0.1:4000".parse().unwrap();
        first.announce(address).unwrap();
        let refused = DevDir::claim(dir.path()).unwrap_err();
        assert!(refused.to_string().contains(&format!("process {me}, at http://127.0.0.1:4000")), "{refused}");
        assert_eq!(refused.code().exit().number(), 6);
        drop(first);
        DevDir::claim(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn clearing_removes_what_we_made_and_keeps_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let ours = DevDir::claim(dir.path()).unwrap();
        ours.remember(&Remembered { postgres_port: Some(5433), address: None }).unwrap();
        ours.write(&ours.secrets().join("token"), b"secret").unwrap();
        fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        private_dir(&ours.agent_state()).unwrap();
        ours.clear().await.unwrap();
        assert!(!ours.agent_state().exists());
        assert_eq!(ours.remembered(), Remembered::default());
        assert!(dir.path().join("notes.txt").exists() && !ours.secrets().join("token").exists());
    }

    #[test]
    fn secrets_lie_where_only_their_owner_can_look() {
        let dir = tempfile::tempdir().unwrap();
        let ours = DevDir::claim(dir.path()).unwrap();
        let file = ours.secrets().join("token");
        ours.write(&file, b"secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&ours.secrets()), mode(&file)), (0o700, 0o600));
    }
}
