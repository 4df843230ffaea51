//! `cargo xtask release`: the three programs as they are given away, with what is in them and what they sum to.
//!
//! Always holds: the same source and the same toolchain give the same bytes, wherever they are built, because no path of
//! the machine gets into them. `--twice` proves it for this source: it builds a second time, from a copy under another
//! path, and compares byte by byte.

mod sbom;

use crate::process::{output, run};
use crate::step::{Failure, Outcome, Steps};
use crate::workspace::Workspace;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What is given away.
const PROGRAMS: [&str; 3] = ["gk", "gk-agent", "gk-control-plane"];
/// What the machine's paths are called in the programs.
const SOURCE: &str = "/gatekeeper";
const CARGO_HOME: &str = "/cargo";

/// Build the programs as they are given away, with their bill of materials and checksums, in target/dist
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// Build a second time from a copy under another path, and fail unless both are equal byte by byte
    #[arg(long)]
    twice: bool,
}

impl ReleaseArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("release");
        let dist = workspace.target_dir.join("dist");
        let built = workspace.target_dir.join("release-dist");
        steps.run("build", || build(workspace, &workspace.root, &built))?;
        steps.run("collect", || collect(&built, &dist))?;
        steps.run("bill of materials", || sbom::write(workspace, &dist.join("gatekeeper.cdx.json")))?;
        steps.run("checksums", || sums(&dist))?;
        if self.twice {
            let copy = workspace.target_dir.join("a-second-place/of-another-length");
            steps.run("copy", || copy_of_the_source(workspace, &copy))?;
            steps.run("build again", || build(workspace, &copy, &copy.join("target")))?;
            steps.run("compare", || compare(&dist, &copy.join("target/release")))?;
        }
        steps.finish();
        Ok(())
    }
}

/// Builds the source at `root` into `target`, with no path of this machine in what comes out.
fn build(workspace: &Workspace, root: &Path, target: &Path) -> Outcome {
    let home = cargo_home()?;
    let renamed = [(root, SOURCE), (home.as_path(), CARGO_HOME)];
    let rust = renamed.map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()));
    let c = renamed.map(|(path, name)| format!("-ffile-prefix-map={}={name}", path.display()));
    let mut cargo = workspace.cargo(["build", "--quiet", "--locked", "--release"]);
    cargo.args(["-p", "gk-cli", "-p", "gk-agent", "-p", "gk-control-plane"]);
    cargo.current_dir(root).env("CARGO_TARGET_DIR", target);
    run(cargo.env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}")).env("CFLAGS", c.join(" ")))
}

#[expect(clippy::disallowed_methods, reason = "Cargo says by the environment where it keeps its things")]
fn cargo_home() -> Outcome<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .ok_or_else(|| Failure::new("neither CARGO_HOME nor HOME is set"))
}

fn collect(built: &Path, dist: &Path) -> Outcome {
    std::fs::create_dir_all(dist).map_err(|error| Failure::new(format!("making {}: {error}", dist.display())))?;
    for program in PROGRAMS {
        copy(&built.join("release").join(program), &dist.join(program))?;
    }
    Ok(())
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn sums(dist: &Path) -> Outcome {
    let mut lines = String::new();
    for name in PROGRAMS.iter().chain(&["gatekeeper.cdx.json"]) {
        let digest = Sha256::digest(read(&dist.join(name))?);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(lines, "{hex}  {name}").expect("a String takes every write");
    }
    eprint!("{lines}");
    let path = dist.join("SHA256SUMS");
    std::fs::write(&path, lines).map_err(|error| Failure::new(format!("writing {}: {error}", path.display())))
}

/// The files that git knows, as they are now.
fn copy_of_the_source(workspace: &Workspace, place: &Path) -> Outcome {
    let listed = output(&mut workspace.program("git", ["ls-files", "-z"]))?;
    for name in listed.split_terminator('\0') {
        let to = place.join(name);
        let parent = to.parent().expect("a file lies in a directory");
        std::fs::create_dir_all(parent)
            .map_err(|error| Failure::new(format!("making {}: {error}", parent.display())))?;
        copy(&workspace.root.join(name), &to)?;
    }
    Ok(())
}

fn compare(first: &Path, second: &Path) -> Outcome {
    let same = |program: &str| {
        read(&first.join(program)).is_ok_and(|one| read(&second.join(program)).is_ok_and(|other| one == other))
    };
    let differ: Vec<&str> = PROGRAMS.into_iter().filter(|program| !same(program)).collect();
    if differ.is_empty() {
        eprintln!("   {} programs, equal byte by byte", PROGRAMS.len());
        return Ok(());
    }
    Err(Failure::new(format!("built in two places, these are not the same: {}", differ.join(", "))))
}

fn copy(from: &Path, to: &Path) -> Outcome {
    std::fs::copy(from, to)
        .map(|_| ())
        .map_err(|error| Failure::new(format!("copying {} to {}: {error}", from.display(), to.display())))
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|error| Failure::new(format!("reading {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bytes: &[u8]) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        for program in PROGRAMS {
            std::fs::write(place.path().join(program), b"the same").unwrap();
        }
        std::fs::write(place.path().join("gk-agent"), bytes).unwrap();
        place
    }

    #[test]
    fn two_builds_that_differ_in_one_byte_are_told_by_name() {
        let (one, same, other) = (place(b"abc"), place(b"abc"), place(b"abd"));
        compare(one.path(), same.path()).unwrap();
        let failure = compare(one.path(), other.path()).unwrap_err().to_string();
        assert!(failure.ends_with("not the same: gk-agent"), "{failure}");
        std::fs::remove_file(same.path().join("gk")).unwrap();
        assert!(compare(one.path(), same.path()).is_err(), "a program that was not built is no equal one");
    }
}
