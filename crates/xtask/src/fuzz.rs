//! `cargo xtask fuzz`: invented inputs against the properties of everything that reads what others wrote.
//!
//! The targets are in `fuzz/`, a workspace of its own in the form that cargo-fuzz knows, too; what they find and what they
//! keep is replayed by `crates/fuzz-props/tests/corpus.rs` in every test run. New inputs go to `fuzz/corpus-work/`, and
//! only `--keep` puts the smallest set that reaches as much into `fuzz/corpus/`, which is checked in.

mod engine;
mod page;

use crate::step::{Failure, Outcome, Steps};
use crate::workspace::Workspace;
use engine::Engine;
use page::Page;
use std::fs;
use std::path::{Path, PathBuf};

/// A kept corpus stays small: it runs with every test.
const MOST_KEPT: usize = 200;
const MOST_BYTES: usize = 12 * 1024;

/// Fuzz what reads other people's bytes; stops at the first property that does not hold
#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// Only this target, by its file in fuzz/fuzz_targets; may be given several times, and that is their order
    #[arg(long)]
    target: Vec<String>,
    /// Inputs to try on each target
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// Keep the smallest inputs that reach as much in fuzz/corpus
    #[arg(long)]
    keep: bool,
    /// Write what was tried into docs/reliability/fuzz.md
    #[arg(long)]
    write: bool,
}

impl FuzzArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("fuzz");
        let root = workspace.root.join("fuzz");
        let targets = chosen(&root, &self.target)?;
        let engine = Engine::of(workspace)?;
        steps.run("build", || engine.build(workspace))?;
        for target in &targets {
            steps.run(target, || {
                let tried = engine.fuzz(&root, target, self.runs)?;
                eprintln!("{tried}");
                if self.keep {
                    keep(&engine, &root, target)?;
                }
                if self.write { Page::of(workspace).set(&tried) } else { Ok(()) }
            })?;
        }
        steps.finish();
        Ok(())
    }
}

/// The targets in the order asked for; all of them if none was.
fn chosen(root: &Path, asked: &[String]) -> Outcome<Vec<String>> {
    let mut known: Vec<String> = files(&root.join("fuzz_targets"))?.iter().map(|(path, _)| name(path)).collect();
    known.sort_unstable();
    if asked.is_empty() {
        return Ok(known);
    }
    match asked.iter().find(|target| !known.contains(target)) {
        Some(unknown) => Err(Failure::new(format!("no target {unknown}; there are {}", known.join(", ")))),
        None => Ok(asked.to_vec()),
    }
}

/// The smallest inputs that reach what all together reach, and of them no more than a test run can spare.
fn keep(engine: &Engine, root: &Path, target: &str) -> Outcome {
    let kept = root.join("corpus").join(target);
    let merged = engine.merge(root, target)?;
    let mut inputs = files(&merged)?;
    inputs.sort_by_key(|(_, size)| *size);
    let (seeds, before): (Vec<_>, Vec<_>) = files(&kept)?.into_iter().partition(|(path, _)| is_seed(path));
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

/// Seeds were written by hand, or are inputs that once broke a property: they stay whatever else reaches as much.
fn is_seed(path: &Path) -> bool {
    name(path).starts_with("seed")
}

fn make(directory: &Path) -> Outcome {
    fs::create_dir_all(directory).map_err(|error| Failure::new(format!("making {}: {error}", directory.display())))
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_run_in_the_order_asked_for_and_one_that_is_not_there_is_named() {
        let root = tempfile::tempdir().unwrap();
        make(&root.path().join("fuzz_targets")).unwrap();
        for target in ["ttl", "dsn"] {
            fs::write(root.path().join(format!("fuzz_targets/{target}.rs")), "").unwrap();
        }
        let asked = |targets: &[&str]| {
            chosen(root.path(), &targets.iter().map(ToString::to_string).collect::<Vec<_>>())
                .map_err(|it| it.to_string())
        };
        assert_eq!(asked(&[]).unwrap(), ["dsn", "ttl"]);
        assert_eq!(asked(&["ttl", "dsn"]).unwrap(), ["ttl", "dsn"]);
        assert_eq!(asked(&["ttl", "tll"]).unwrap_err(), "no target tll; there are dsn, ttl");
    }
}
