//! Limits of a process while it runs: open files, memory. They are lifted when their owner is gone.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::path::{Path, PathBuf};

/// A process that may open no more files than these.
#[derive(Debug)]
pub struct FewFiles {
    pid: Pid,
    before: Rlimit,
}

impl FewFiles {
    /// Sets the limit.
    ///
    /// # Panics
    /// The process is gone, or not ours.
    #[must_use]
    pub fn of(pid: Pid, files: u64) -> Self {
        // Whoever starts it again gets what it had: the upper limit stays.
        let limit = Rlimit { current: Some(files), maximum: highest(pid) };
        let before = prlimit(Some(pid), Resource::Nofile, limit).expect("the process is ours, and the limit lower");
        Self { pid, before }
    }
}

impl Drop for FewFiles {
    fn drop(&mut self) {
        // It may have ended meanwhile.
        let _ = prlimit(Some(self.pid), Resource::Nofile, self.before);
    }
}

/// The upper limit of a process's open files; none if there is none.
fn highest(pid: Pid) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_pid())).unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// How many files a process has open.
#[must_use]
pub fn open_files(pid: Pid) -> u64 {
    fs::read_dir(format!("/proc/{}/fd", pid.as_raw_pid())).map_or(0, |fds| fds.count() as u64)
}

/// Where groups with a limit of memory are made; none where this process cannot.
#[must_use]
pub fn memory_cgroups() -> Option<PathBuf> {
    let root = Path::new("/sys/fs/cgroup/memory");
    let is_one = root.join("memory.limit_in_bytes").is_file();
    (is_one && rustix::process::geteuid().is_root()).then(|| root.to_owned())
}

/// A group of processes that share little memory.
#[derive(Debug)]
pub struct LittleMemory(PathBuf);

impl LittleMemory {
    /// Makes one with this many bytes.
    ///
    /// # Panics
    /// It cannot be made: the caller has looked at [`crate::need::Need::Memory`].
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let root = memory_cgroups().expect("the need was looked at");
        let dir = root.join(format!("gk-torture-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        fs::create_dir(&dir).expect("root makes groups");
        let group = Self(dir);
        fs::write(group.0.join("memory.limit_in_bytes"), bytes.to_string()).expect("an empty group takes any limit");
        // What does not fit must not go to disk instead.
        drop(fs::write(group.0.join("memory.memsw.limit_in_bytes"), bytes.to_string()));
        group
    }

    /// Puts a process into it. Its memory comes along page by page, as it is used.
    ///
    /// # Panics
    /// The process is gone.
    pub fn take_in(&self, pid: Pid) {
        fs::write(self.0.join("cgroup.procs"), pid.as_raw_pid().to_string()).expect("the process is ours");
    }

    /// How many processes the kernel has killed in it.
    #[must_use]
    pub fn killed(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("memory.oom_control")).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// How often somebody wanted more than there is.
    #[must_use]
    pub fn refused(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("memory.failcnt")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }
}

impl Drop for LittleMemory {
    fn drop(&mut self) {
        // Whoever is left goes home first: a group with processes cannot be removed.
        let left = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for pid in left.lines() {
            drop(fs::write("/sys/fs/cgroup/memory/cgroup.procs", pid));
        }
        drop(fs::remove_dir(&self.0));
    }
}
