//! `cargo xtask deps`: what the tests need beside Rust.

use crate::process::{run, succeeds};
use crate::servers;
use crate::step::{Failure, Outcome, Steps};
use crate::workspace::Workspace;

const NEXTEST: &str = "cargo-nextest@0.9.143";
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Install what the tests need: two Postgres versions, Python, schemathesis and cargo-nextest
///
/// Does nothing that is done already. System packages are installed on Debian and Ubuntu, as root or by sudo where that
/// asks for no password; elsewhere the command to type is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct DepsArgs {}

impl DepsArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("deps");
        steps.run("postgres", || servers::ensure(workspace))?;
        steps.run("python", || python(workspace))?;
        steps.run("schemathesis", || schemathesis(workspace))?;
        steps.run("nextest", || nextest(workspace))?;
        steps.finish();
        Ok(())
    }
}

/// Sees to it that everything is there.
pub(crate) fn ensure(workspace: &Workspace) -> Outcome {
    servers::ensure(workspace)?;
    python(workspace)?;
    schemathesis(workspace)?;
    nextest(workspace)
}

/// The second verifier of the audit log is a Python program.
fn python(workspace: &Workspace) -> Outcome {
    if succeeds(&mut workspace.program("python3", ["--version"])) {
        return Ok(());
    }
    apt_get(workspace, &["python3"])
}

/// What holds the API against its document, in an environment of its own below the build directory.
fn schemathesis(workspace: &Workspace) -> Outcome {
    let home = workspace.target_dir.join("schemathesis");
    if succeeds(&mut workspace.program(&home.join("bin/schemathesis").to_string_lossy(), ["--version"])) {
        return Ok(());
    }
    let place = home.to_string_lossy();
    if !succeeds(&mut workspace.program("python3", ["-m", "venv", &place])) {
        apt_get(workspace, &["python3-venv"])?;
        run(&mut workspace.program("python3", ["-m", "venv", &place]))?;
    }
    let pip = home.join("bin/pip");
    run(&mut workspace.program(&pip.to_string_lossy(), ["install", "--quiet", SCHEMATHESIS]))
}

fn nextest(workspace: &Workspace) -> Outcome {
    if succeeds(&mut workspace.cargo(["nextest", "--version"])) {
        return Ok(());
    }
    run(&mut workspace.cargo(["install", "--locked", "--debug", NEXTEST]))
}

/// Installs packages by apt-get, or says which command would.
pub(crate) fn apt_get(workspace: &Workspace, packages: &[&str]) -> Outcome {
    let list = packages.join(" ");
    let script = format!(
        "set -eu; export DEBIAN_FRONTEND=noninteractive; apt-get update --quiet=2; apt-get install --yes --quiet=2 --no-install-recommends {list}"
    );
    as_root(workspace, &script)
        .map_err(|failure| Failure::new(format!("{failure}; type: sudo apt-get install --yes {list}")))
}

/// Runs a script of apt-get commands as root: directly, or by a sudo that asks nothing.
pub(crate) fn as_root(workspace: &Workspace, script: &str) -> Outcome {
    if !succeeds(&mut workspace.program("apt-get", ["--version"])) {
        return Err(Failure::new("this system has no apt-get"));
    }
    if succeeds(&mut workspace.program("sh", ["-c", "test \"$(id -u)\" = 0"])) {
        return run(&mut workspace.program("sh", ["-c", script]));
    }
    if succeeds(&mut workspace.program("sudo", ["-n", "true"])) {
        return run(&mut workspace.program("sudo", ["-n", "sh", "-c", script]));
    }
    Err(Failure::new("installing packages needs root"))
}
