//! Small disks: a tmpfs of a few megabytes that can be filled to the last byte.
//!
//! Always holds: it is unmounted when its owner is gone, whatever happened.

use gk_e2e::TestPg;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const MEGABYTE: u64 = 1024 * 1024;
const BALLAST: &str = "ballast";

/// Runs a program of the system that is quick and must not fail.
///
/// # Panics
/// It fails.
pub(crate) fn must(program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A mounted disk.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
    mounted: bool,
}

impl SmallDisk {
    /// Mounts one of this many megabytes at an empty directory, for the owner of `like`.
    ///
    /// # Panics
    /// It cannot be mounted: the caller has looked at [`crate::need::Need::Mount`].
    #[must_use]
    pub fn mount(at: &Path, megabytes: u64, like: &Path) -> Self {
        fs::create_dir_all(at).expect("the directory lies in one of ours");
        let owner = fs::metadata(like).expect("the file to be like is there");
        let options = format!("size={megabytes}m,mode=0700,uid={},gid={}", owner.uid(), owner.gid());
        must("mount", &["-t", "tmpfs", "-o", &options, "gk-torture", &at.to_string_lossy()]);
        Self { at: at.to_owned(), mounted: true }
    }

    /// Moves the data of a server to a disk that has this many megabytes to spare. The server is started again on it.
    ///
    /// # Panics
    /// The files cannot be moved, or the server does not start.
    pub async fn under(server: &mut TestPg, spare: u64) -> Self {
        server.stop().await;
        let (data, away) = (server.data_dir(), beside(server, "data.away"));
        fs::rename(&data, &away).expect("both lie in a directory of ours");
        let disk = Self::mount(&data, size(&away).div_ceil(MEGABYTE) + spare, &away);
        copy(&away, &data);
        fs::remove_dir_all(&away).expect("it was copied and is ours");
        server.start_again().await;
        disk
    }

    /// Moves the data of the server back to where there is room.
    ///
    /// # Panics
    /// The files cannot be moved, or the server does not start.
    pub async fn leave(mut self, server: &mut TestPg) {
        server.stop().await;
        let (data, home) = (server.data_dir(), beside(server, "data.home"));
        fs::create_dir(&home).expect("its directory is ours");
        copy(&data, &home);
        self.unmount();
        fs::remove_dir(&data).expect("nothing but the mount was there");
        fs::rename(&home, &data).expect("both lie in a directory of ours");
        server.start_again().await;
    }

    /// Fills it until nothing goes in any more; says how many bytes that took.
    pub fn fill(&self) -> u64 {
        let file = fs::OpenOptions::new().create(true).append(true).open(self.at.join(BALLAST));
        let mut file = file.unwrap_or_else(|error| panic!("opening the ballast: {error}"));
        // Smaller and smaller pieces, so that it is full to the last page.
        let written: u64 = [64 * 1024, 4096, 1].into_iter().map(|piece| pour(&mut file, &vec![7; piece])).sum();
        written
    }

    /// Takes everything out again that was put in to fill it.
    pub fn free(&self) {
        // Not there: it was never filled.
        drop(fs::remove_file(self.at.join(BALLAST)));
    }

    fn unmount(&mut self) {
        if std::mem::take(&mut self.mounted) {
            // Lazily: somebody may still stand in it, and then it goes when he does.
            drop(Command::new("umount").arg("-l").arg(&self.at).output());
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn pour(file: &mut fs::File, piece: &[u8]) -> u64 {
    let mut written = 0;
    while let Ok(more @ 1..) = file.write(piece) {
        written += more as u64;
    }
    written
}

pub(crate) fn beside(server: &TestPg, name: &str) -> PathBuf {
    server.data_dir().with_file_name(name)
}

pub(crate) fn copy(from: &Path, to: &Path) {
    must("cp", &["-a", "-T", &from.to_string_lossy(), &to.to_string_lossy()]);
}

/// What the files in a directory take up.
pub(crate) fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        // A page at least.
        Ok(meta) => meta.len().next_multiple_of(4096),
        Err(_) => 0,
    });
    sizes.sum()
}
