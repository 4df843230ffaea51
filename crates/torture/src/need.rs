//! What a fault needs of the machine. What is not there is said, never passed over.

use crate::clocks;
use std::path::Path;

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
}

impl Need {
    /// Why it is not there; none if it is.
    #[must_use]
    pub fn missing(self) -> Option<&'static str> {
        let here = match self {
            Self::Root => rustix::process::geteuid().is_root(),
            Self::Nft => program("nft") && rustix::process::geteuid().is_root(),
            Self::Strace => program("strace"),
            Self::Faketime => clocks::library().is_some(),
        };
        (!here).then_some(match self {
            Self::Root => "it needs root",
            Self::Nft => "it needs root and nft (package nftables)",
            Self::Strace => "it needs strace (package strace)",
            Self::Faketime => "it needs libfaketime (package faketime)",
        })
    }
}

fn program(name: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(name).is_file())
}
