//! A disk that can fail as real ones do: a file with an ext4 file system in it, mounted for a server. Told that it is broken,
//! the kernel takes nothing more and lets everybody read on, whoever has files open.
//!
//! Always holds: it is unmounted when its owner is gone, whatever happened.

use crate::disk::{MEGABYTE, beside, copy, must, size};
use gk_e2e::{SOON, TestPg, eventually};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a file system needs for itself, in megabytes.
const OVERHEAD: u64 = 48;

/// A mounted file system that a server lives on.
#[derive(Debug)]
pub struct Volume {
    image: PathBuf,
    at: PathBuf,
    mounted: bool,
}

impl Volume {
    /// Moves the data of a server to one with this many megabytes to spare. The server is started again on it.
    ///
    /// # Panics
    /// It cannot be made: the caller has looked at [`crate::need::Need::Volume`].
    pub async fn under(server: &mut TestPg, spare: u64) -> Self {
        server.stop().await;
        let (data, away) = (server.data_dir(), beside(server, "data.away"));
        fs::rename(&data, &away).expect("both lie in a directory of ours");
        let mut volume = Self { image: beside(server, "data.img"), at: data, mounted: false };
        volume.make(size(&away).div_ceil(MEGABYTE) + spare + OVERHEAD);
        volume.mount(&away);
        copy(&away, &volume.at);
        // What a server found there when it started was on the disk long before.
        must("sync", &["-f", &volume.at.to_string_lossy()]);
        fs::remove_dir_all(&away).expect("it was copied and is ours");
        server.start_again().await;
        volume
    }

    fn make(&self, megabytes: u64) {
        let file = fs::File::create(&self.image).expect("its directory is ours");
        file.set_len(megabytes * MEGABYTE).expect("a file of holes needs no room");
        must("mkfs.ext4", &["-q", "-F", "-m", "0", &self.image.to_string_lossy()]);
        fs::create_dir(&self.at).expect("its directory is ours");
    }

    /// Mounts it with the owner and the mode of `like`.
    fn mount(&mut self, like: &Path) {
        let meta = fs::metadata(like).expect("the directory to be like is there");
        must("mount", &["-o", "loop,errors=remount-ro", &self.image.to_string_lossy(), &self.at.to_string_lossy()]);
        self.mounted = true;
        drop(fs::remove_dir(self.at.join("lost+found")));
        std::os::unix::fs::chown(&self.at, Some(meta.uid()), Some(meta.gid())).expect("root gives away what is his");
        let mode = fs::Permissions::from_mode(meta.mode() & 0o7777);
        fs::set_permissions(&self.at, mode).expect("root may");
    }

    /// From now on it takes nothing more, as after an error of the disk below.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn breaks(&self) {
        must("mount", &["-o", "remount,abort", &self.at.to_string_lossy()]);
    }

    /// Whether the kernel has it for reading alone.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        fs::write(self.at.join("probe"), "").is_err_and(|error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
    }

    /// What an operator does: stops the server, has the file system checked, mounts it again and starts the server.
    ///
    /// # Panics
    /// It cannot be mended, or the server does not start.
    pub async fn is_mended(&mut self, server: &mut TestPg) {
        server.kill9();
        let like = self.at.with_file_name("data.like");
        let meta = fs::metadata(&self.at).expect("it is mounted");
        fs::create_dir(&like).expect("its directory is ours");
        std::os::unix::fs::chown(&like, Some(meta.uid()), Some(meta.gid())).expect("root gives away what is his");
        fs::set_permissions(&like, meta.permissions()).expect("root may");
        self.is_let_go().await;
        self.check();
        self.mount(&like);
        fs::remove_dir(&like).expect("it is empty");
        server.start_again().await;
    }

    /// Unmounts it as soon as the last process is out of it.
    async fn is_let_go(&mut self) {
        eventually(SOON, "nobody uses the disk any more", async || {
            let done = Command::new("umount").arg(&self.at).output().map_err(|error| error.to_string())?;
            if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
        })
        .await;
        self.mounted = false;
    }

    fn check(&self) {
        const MENDED: [i32; 2] = [0, 1];
        let done = Command::new("e2fsck").args(["-f", "-y"]).arg(&self.image).output();
        let done = done.unwrap_or_else(|error| panic!("e2fsck: {error}"));
        let mended = done.status.code().is_some_and(|code| MENDED.contains(&code));
        assert!(mended, "e2fsck: {}", String::from_utf8_lossy(&done.stdout));
    }

    /// Moves the data of the server back to where it was.
    ///
    /// # Panics
    /// The files cannot be moved, or the server does not start.
    pub async fn leave(mut self, server: &mut TestPg) {
        server.stop().await;
        let home = beside(server, "data.home");
        fs::create_dir(&home).expect("its directory is ours");
        copy(&self.at, &home);
        self.unmount();
        fs::remove_dir(&self.at).expect("nothing but the mount was there");
        fs::rename(&home, &self.at).expect("both lie in a directory of ours");
        drop(fs::remove_file(&self.image));
        server.start_again().await;
    }

    fn unmount(&mut self) {
        if std::mem::take(&mut self.mounted) {
            // Lazily: somebody may still stand in it, and then it goes when he does.
            drop(Command::new("umount").arg("-l").arg(&self.at).output());
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.unmount();
    }
}
