//! Where things are: the workspace, its build directory, the Cargo that runs us.

use crate::process::{output, program};
use crate::step::{Failure, Outcome};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// The workspace this program was built from.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where Cargo builds to, wherever that was set.
    pub(crate) target_dir: PathBuf,
    cargo: OsString,
}

#[derive(serde::Deserialize)]
struct Located {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    /// Asks Cargo.
    pub(crate) fn find() -> Outcome<Self> {
        let cargo = told_by_cargo("CARGO").unwrap_or_else(|| "cargo".into());
        // Our own manifest's directory, or where a program that was not started by Cargo stands.
        let start = told_by_cargo("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let text = output(program(&cargo, &start).args(["metadata", "--no-deps", "--format-version=1"]))?;
        let located: Located =
            serde_json::from_str(&text).map_err(|error| Failure::new(format!("reading `cargo metadata`: {error}")))?;
        Ok(Self { root: located.workspace_root, target_dir: located.target_directory, cargo })
    }

    /// A Cargo command in the workspace's root.
    pub(crate) fn cargo<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = program(&self.cargo, &self.root);
        command.args(args);
        command
    }

    /// Another program in the workspace's root.
    pub(crate) fn program<const N: usize>(&self, name: &str, args: [&str; N]) -> Command {
        let mut command = program(name, &self.root);
        command.args(args);
        command
    }
}

#[expect(clippy::disallowed_methods, reason = "Cargo tells what it starts where it is by the environment")]
fn told_by_cargo(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
