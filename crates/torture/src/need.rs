//! What a fault needs of the machine. What is not there is said, never passed over.

use crate::clocks;
use std::path::{Path, PathBuf};

/// A need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To be root.
    Root,
    /// `nft`, and a kernel that takes its rules.
    Nft,
    /// `strace`, and leave to trace.
    Strace,
    /// libfaketime.
    Faketime,
    /// Leave to mount a disk.
    Mount,
    /// The same, loop devices and the tools of ext4.
    Volume,
    /// The programs of an earlier version.
    Earlier,
    /// A memory cgroup, and leave to make one in it.
    Memory,
}

impl Need {
    /// All there are.
    pub const ALL: [Self; 8] =
        [Self::Root, Self::Nft, Self::Strace, Self::Faketime, Self::Mount, Self::Volume, Self::Memory, Self::Earlier];

    /// Why it is not there; none if it is. Programs of an earlier version are looked for in this directory.
    #[must_use]
    pub fn missing(self, earlier: &Path) -> Option<String> {
        let here = match self {
            Self::Root => rustix::process::geteuid().is_root(),
            Self::Nft => program("nft") && rustix::process::geteuid().is_root(),
            Self::Strace => program("strace"),
            Self::Faketime => clocks::library().is_some(),
            Self::Mount => may_mount(),
            Self::Volume => may_mount() && program("mkfs.ext4") && program("e2fsck") && has_loop_devices(),
            Self::Earlier => ["gk-agent", "gk-control-plane"].iter().all(|name| earlier.join(name).is_file()),
            Self::Memory => crate::limits::memory_cgroups().is_some(),
        };
        let said = || match self {
            Self::Earlier => format!("{}; looked for in {}", self.why(), earlier.display()),
            Self::Root | Self::Nft | Self::Strace | Self::Faketime | Self::Mount | Self::Volume | Self::Memory => {
                self.why().to_owned()
            }
        };
        (!here).then(said)
    }

    /// What it needs, in words.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Root => "it needs root",
            Self::Nft => "it needs root and nft (package nftables)",
            Self::Strace => "it needs strace (package strace)",
            Self::Faketime => "it needs libfaketime (package faketime)",
            Self::Mount => "it needs root with leave to mount (CAP_SYS_ADMIN)",
            Self::Volume => "it needs root, a loop device and mkfs.ext4 (package e2fsprogs)",
            Self::Earlier => {
                "it needs gk-agent and gk-control-plane of an earlier version (`--earlier DIR`, or `earlier/` beside these programs)"
            }
            Self::Memory => "it needs root and a memory cgroup that can be written",
        }
    }
}

/// Where the programs of an earlier version are looked for if nothing else is said: beside those of this one.
#[must_use]
pub fn earlier() -> PathBuf {
    gk_e2e::program("gk-agent").with_file_name("earlier")
}

/// CAP_SYS_ADMIN, among what this process may do.
fn may_mount() -> bool {
    const ADMIN: u32 = 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask >> ADMIN & 1 == 1 && program("mount")
}

fn has_loop_devices() -> bool {
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    Path::new("/dev/loop-control").exists() && filesystems.lines().any(|line| line.trim() == "ext4")
}

fn program(name: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(name).is_file())
}
