//! Where the demo keeps its files: a directory that nobody else uses, and that is gone afterwards.

use crate::step::{Failure, Outcome};
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Root's Postgres runs as another user, who has to reach it; the temporary directories of most systems are open.
const PARENT: &str = "/var/tmp";
const PREFIX: &str = "gatekeeper-demo-";

/// The directory. Dropping it removes it, as far as that goes; [`Place::remove`] says when it does not.
pub(crate) struct Place(PathBuf);

impl Place {
    /// Makes it, and clears those of demos that were interrupted.
    pub(crate) fn make() -> Outcome<Self> {
        sweep(Path::new(PARENT));
        let path = Path::new(PARENT).join(format!("{PREFIX}{}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o711).create(&path);
        made.map_err(|error| Failure::new(format!("creating {}: {error}", path.display())))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The data directory of `gk dev`.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(crate) fn remove(self) -> Outcome {
        fs::remove_dir_all(&self.0).map_err(|error| Failure::new(format!("removing {}: {error}", self.0.display())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what an interrupted demo left, where nothing works in it any more. What cannot be removed is not ours.
fn sweep(parent: &Path) {
    let left = fs::read_dir(parent).into_iter().flatten().flatten();
    for dir in left.map(|entry| entry.path()) {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && is_idle(&dir) {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// Whether no `gk dev` and no Postgres works there.
fn is_idle(dir: &Path) -> bool {
    let data = dir.join("data");
    let Ok(lock) = fs::File::open(data.join("gk-dev.lock")) else { return false };
    lock.try_lock().is_ok() && !data.join("postgres/postmaster.pid").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_works_in_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let data = parent.path().join(name).join("data");
            fs::create_dir_all(data.join("postgres")).unwrap();
            fs::write(data.join("gk-dev.lock"), "{}").unwrap();
            data
        };
        let (_idle, held, busy, other) =
            (make("gatekeeper-demo-1"), make("gatekeeper-demo-2"), make("gatekeeper-demo-3"), make("thesis"));
        let lock = fs::File::open(held.join("gk-dev.lock")).unwrap();
        lock.lock().unwrap();
        fs::write(busy.join("postgres/postmaster.pid"), "1").unwrap();
        sweep(parent.path());
        let mut left: Vec<String> = fs::read_dir(parent.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["gatekeeper-demo-2", "gatekeeper-demo-3", "thesis"]);
        assert!(other.exists());
    }
}
