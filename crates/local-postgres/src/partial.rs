//! The directory that a cluster is made in, before it is renamed into its place.
//!
//! Its name is never used twice. A program of Postgres that outlives a killed owner goes on in the directory of its
//! own try, and what it removes when it fails is that one, not the next one's.

use crate::error::ClusterError;
use crate::lock::beside;
use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SUFFIX: &str = ".partial.";
/// How often a directory is cleared that a leftover program still writes into; without its subdirectories it soon fails.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// A name beside `data_dir` that nobody has used. Chance names it, because ids of processes come again.
pub(crate) fn new_name(data_dir: &Path) -> PathBuf {
    beside(data_dir, &format!("{SUFFIX}{:016x}", RandomState::new().build_hasher().finish()))
}

/// Removes what earlier tries at `data_dir` left. The caller holds its lock.
pub(crate) fn clear(data_dir: &Path) -> Result<(), ClusterError> {
    for left in leftovers(data_dir)? {
        remove(&left).map_err(ClusterError::io("clearing", &left))?;
    }
    Ok(())
}

fn leftovers(data_dir: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    let parent = data_dir.parent().unwrap_or(Path::new("/"));
    let named = beside(data_dir, SUFFIX);
    let named = named.file_name().unwrap_or_default().as_encoded_bytes();
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(ClusterError::io("reading", parent))?,
    };
    let left = entries.map(|entry| entry.map(|entry| (entry.path(), entry.file_name())));
    let left: Result<Vec<_>, Error> = left.collect();
    let left = left.map_err(ClusterError::io("reading", parent))?;
    let is_ours = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        // Without a dot at the end: the one name that earlier versions had for all tries.
        name.starts_with(named) || named.strip_suffix(b".") == Some(name)
    };
    Ok(left.into_iter().filter(|(_, name)| is_ours(name)).map(|(path, _)| path).collect())
}

fn remove(dir: &Path) -> Result<(), Error> {
    let mut tries = 1;
    loop {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && tries < TRIES => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            removed => return removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice_and_all_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        let (first, second) = (new_name(&data_dir), new_name(&data_dir));
        assert_ne!(first, second);
        let old = dir.path().join("data.partial");
        for left in [&first, &second, &old] {
            fs::create_dir_all(left.join("base/1")).unwrap();
        }
        let neighbours = ["data.lock", "database.partial.1", "data.partially"].map(|name| dir.path().join(name));
        neighbours.iter().for_each(|path| fs::create_dir(path).unwrap());
        clear(&data_dir).unwrap();
        assert!(!first.exists() && !second.exists() && !old.exists());
        assert!(neighbours.iter().all(|path| path.exists()), "nothing else is touched");
    }

    #[test]
    fn a_program_that_still_writes_does_not_keep_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let left = new_name(&dir.path().join("data"));
        fs::create_dir_all(left.join("base")).unwrap();
        let base = left.join("base");
        let (started, writing) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            let written = (0..).take_while(|n| {
                let _ = started.send(());
                fs::write(base.join(n.to_string()), "").is_ok()
            });
            written.count()
        });
        writing.recv().unwrap();
        clear(&dir.path().join("data")).unwrap();
        assert!(!left.exists());
        writer.join().unwrap();
    }
}
