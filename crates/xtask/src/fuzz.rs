//! `cargo xtask fuzz`: invented inputs against the properties of everything that reads what others wrote.
//!
//! The targets are in `fuzz/`, a workspace of its own; what they find and what they keep is replayed by
//! `crates/fuzz-props/tests/corpus.rs` in every test run. New inputs go to `fuzz/corpus-work/`, and only `--keep` puts the
//! smallest set that reaches as much into `fuzz/corpus/`, which is checked in.

use crate::process::{run, succeeds};
use crate::step::{Failure, Outcome, Steps};
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CARGO_FUZZ: &str = "cargo-fuzz@0.13.2";
/// A kept corpus stays small: it runs with every test.
const MOST_KEPT: usize = 200;
const MOST_BYTES: usize = 12 * 1024;

/// Fuzz what reads other people's bytes; stops at the first property that does not hold
#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// Only this target, by its file in fuzz/fuzz_targets
    #[arg(long)]
    target: Option<String>,
    /// Inputs to try on each target
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// Keep the smallest inputs that reach as much in fuzz/corpus
    #[arg(long)]
    keep: bool,
}

impl FuzzArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("fuzz");
        let fuzz = Fuzz { workspace, root: workspace.root.join("fuzz"), tools: workspace.target_dir.join("tools") };
        let targets = fuzz.targets(self.target.as_deref())?;
        steps.run("cargo-fuzz", || fuzz.install())?;
        steps.run("build", || run(&mut fuzz.cargo(&["build", "-s", "none"])))?;
        for target in &targets {
            steps.run(target, || fuzz.fuzz(target, self.runs))?;
        }
        for target in targets.iter().filter(|_| self.keep) {
            steps.run(&format!("keep {target}"), || fuzz.keep(target))?;
        }
        steps.finish();
        Ok(())
    }
}

struct Fuzz<'w> {
    workspace: &'w Workspace,
    root: PathBuf,
    tools: PathBuf,
}

impl Fuzz<'_> {
    fn targets(&self, only: Option<&str>) -> Outcome<Vec<String>> {
        let mut names = names(&self.root.join("fuzz_targets"))?;
        if let Some(only) = only {
            names.retain(|name| name == only);
        }
        if names.is_empty() {
            return Err(Failure::new("no such target: `ls fuzz/fuzz_targets` lists them, without .rs"));
        }
        Ok(names)
    }

    fn install(&self) -> Outcome {
        if succeeds(Command::new(self.tools.join("bin/cargo-fuzz")).arg("--version")) {
            return Ok(());
        }
        let mut install = self.workspace.cargo(["install", "--locked", "--debug", CARGO_FUZZ, "--root"]);
        run(install.arg(&self.tools).env("CARGO_TARGET_DIR", self.tools.join("build")))
    }

    /// `cargo fuzz` with the stable compiler: without a sanitizer, for there is no unsafe code of ours to watch.
    fn cargo(&self, args: &[&str]) -> Command {
        let mut command = crate::process::program(self.tools.join("bin/cargo-fuzz"), &self.workspace.root);
        command.arg("fuzz").args(args).arg("--target-dir").arg(self.workspace.target_dir.join("fuzz"));
        command
    }

    fn fuzz(&self, target: &str, runs: u64) -> Outcome {
        let work = self.root.join("corpus-work").join(target);
        make(&work)?;
        let mut command = self.cargo(&["run", "-s", "none", target]);
        command.arg(&work).arg(self.root.join("corpus").join(target));
        run(command
            .args(["--", "-close_fd_mask=1", "-print_final_stats=1", "-max_len=4096"])
            .arg(format!("-runs={runs}")))
    }

    /// The smallest inputs that reach what all together reach, and of them no more than a test run can spare.
    fn keep(&self, target: &str) -> Outcome {
        let (kept, merged) = (self.root.join("corpus").join(target), self.root.join("corpus-work/merged").join(target));
        make(&merged)?;
        let mut command = self.cargo(&["run", "-s", "none", target]);
        command.arg(&merged).arg(&kept).arg(self.root.join("corpus-work").join(target));
        run(command.args(["--", "-close_fd_mask=1", "-merge=1", "-max_len=4096"]))?;
        let mut inputs = files(&merged)?;
        inputs.sort_by_key(|(_, size)| *size);
        let (seeds, before): (Vec<_>, Vec<_>) =
            files(&kept)?.into_iter().partition(|(path, _)| name(path).starts_with("seed"));
        for (path, _) in before {
            fs::remove_file(&path).map_err(|error| Failure::new(format!("removing {}: {error}", path.display())))?;
        }
        let mut room = MOST_BYTES;
        for (path, size) in inputs.into_iter().take(MOST_KEPT.saturating_sub(seeds.len())) {
            let Some(left) = room.checked_sub(size) else { break };
            room = left;
            let to = kept.join(name(&path));
            fs::copy(&path, &to).map_err(|error| Failure::new(format!("writing {}: {error}", to.display())))?;
        }
        Ok(())
    }
}

fn make(directory: &Path) -> Outcome {
    fs::create_dir_all(directory).map_err(|error| Failure::new(format!("making {}: {error}", directory.display())))
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn names(directory: &Path) -> Outcome<Vec<String>> {
    let mut names: Vec<String> = files(directory)?.iter().map(|(path, _)| name(path)).collect();
    names.sort_unstable();
    Ok(names)
}

fn files(directory: &Path) -> Outcome<Vec<(PathBuf, usize)>> {
    let unreadable = |error: std::io::Error| Failure::new(format!("reading {}: {error}", directory.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let size = entry.metadata().map_err(unreadable)?.len();
        found.push((entry.path(), usize::try_from(size).unwrap_or(usize::MAX)));
    }
    Ok(found)
}
