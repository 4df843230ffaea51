//! Where tests keep their clusters: in the build directory, or where an unprivileged server can reach, in `/var/tmp`.

use gk_local_postgres::{clear_survivor, reachable_dir};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The build directories that the running test lies in, the innermost first: Cargo marks each with a tag, and coverage
/// puts one inside another.
fn build_dirs() -> Vec<PathBuf> {
    let program = std::env::current_exe().expect("a running test knows its own path");
    program.ancestors().filter(|dir| dir.join("CACHEDIR.TAG").is_file()).map(Path::to_path_buf).collect()
}

/// The root of everything tests write.
pub(crate) fn root() -> PathBuf {
    let build_dir = build_dirs().pop().expect("a test lies in a build directory, which Cargo tags");
    let root = reachable_dir(&build_dir).unwrap_or_else(|error| panic!("a place for test clusters: {error}"));
    let root = root.join("test-postgres");
    fs::create_dir_all(&root).unwrap_or_else(|error| panic!("creating {}: {error}", root.display()));
    root
}

/// The `bin` directories of the servers that `cargo xtask deps` unpacked.
pub(crate) fn unpacked_servers() -> Vec<PathBuf> {
    let places = build_dirs().into_iter().chain(root().parent().map(Path::to_path_buf));
    let versions = places.filter_map(|place| fs::read_dir(place.join("postgres")).ok()).flatten().flatten();
    versions.map(|version| version.path().join("bin")).filter(|dir| dir.is_dir()).collect()
}

/// A directory for one cluster, which a lock marks as in use for as long as this lives.
#[derive(Debug)]
pub(crate) struct Slot {
    dir: PathBuf,
    _in_use: File,
}

impl Slot {
    /// Takes a fresh directory, after removing those of runs that were killed.
    pub(crate) async fn take() -> Self {
        let clusters = root().join("clusters");
        fs::create_dir_all(&clusters).expect("the test root can be written");
        // Between making a directory and locking it, nobody may look for abandoned ones.
        let census = locked(&clusters.join("census"));
        remove_abandoned(&clusters).await;
        let dir = clusters.join(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&dir).unwrap_or_else(|error| panic!("creating {}: {error}", dir.display()));
        let in_use = locked(&dir.join("in-use"));
        drop(census);
        Self { dir, _in_use: in_use }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Removes everything. What cannot be removed now is removed by the next run.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

async fn remove_abandoned(clusters: &Path) {
    for entry in fs::read_dir(clusters).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        let dir = entry.path();
        let abandoned = File::open(dir.join("in-use")).map_or(true, |lock| lock.try_lock().is_ok());
        if abandoned && clear_survivor(&dir.join("data")).await.is_ok() {
            let _ = fs::remove_dir_all(&dir);
        }
    }
}

/// Opens a file and waits for its lock, which ends with the file.
pub(crate) fn locked(path: &Path) -> File {
    let file = File::create(path).unwrap_or_else(|error| panic!("creating {}: {error}", path.display()));
    file.lock().unwrap_or_else(|error| panic!("locking {}: {error}", path.display()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_killed_run_left_is_removed_and_what_is_in_use_is_not() {
        let live = Slot::take().await;
        let dead = live.dir.with_file_name(format!("{}-dead", std::process::id()));
        fs::create_dir_all(dead.join("data")).unwrap();
        fs::write(dead.join("in-use"), "").unwrap();
        let another = Slot::take().await;
        assert!(!dead.exists());
        assert!(live.dir.exists() && another.dir.exists());
        live.remove();
        another.remove();
    }
}
