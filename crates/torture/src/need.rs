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
    /// The programs of an earlier version.
    Earlier,
    /// A memory cgroup, and leave to make one in it.
    Memory,
}

impl Need {
    /// All there are.
    pub const ALL: [Self; 7] =
        [Self::Root, Self::Nft, Self::Strace, Self::Faketime, Self::Mount, Self::Memory, Self::Earlier];

    /// Why it is not there; none if it is.
    #[must_use]
    pub fn missing(self) -> Option<&'static str> {
        let here = match self {
            Self::Root => rustix::process::geteuid().is_root(),
            Self::Nft => program("nft") && rustix::process::geteuid().is_root(),
            Self::Strace => program("strace"),
            Self::Faketime => clocks::library().is_some(),
            Self::Mount => may_mount(),
            Self::Earlier => ["gk-agent", "gk-control-plane"].iter().all(|name| earlier().join(name).is_file()),
            Self::Memory => crate::limits::memory_cgroups().is_some(),
        };
        (!here).then_some(self.why())
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
            Self::Earlier => {
                "it needs gk-agent and gk-control-plane of an earlier version in `earlier/` beside this program"
            }
            Self::Memory => "it needs root and a memory cgroup that can be written",
        }
    }
}

/// Where the programs of an earlier version are looked for: beside those of this one.
pub(crate) fn earlier() -> PathBuf {
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

fn program(name: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(name).is_file())
}
