//! `cargo xtask coverage`: how many lines the tests run.
//!
//! The tests run the real programs as processes, so those are built with counters too, in a build directory of their
//! own: the usual one keeps its cache. The test kit and this program are not counted, for nobody else runs them.

use crate::deps::{self, apt_get};
use crate::process::{output, run, succeeds};
use crate::step::{Failure, Outcome, Steps};
use crate::workspace::Workspace;
use std::path::PathBuf;
use std::process::Command;

const LLVM_COV: &str = "cargo-llvm-cov@0.9.1";
const NOT_COUNTED: &str = "crates/(xtask|testkit)/";

/// Run the tests and fail where they run too few lines
#[derive(Debug, clap::Args)]
pub(crate) struct CoverageArgs {
    /// Least part of all lines, in percent
    #[arg(long, default_value_t = 85)]
    fail_under_lines: u8,
    /// Also write a report to read in a browser, in the build directory
    #[arg(long)]
    html: bool,
}

impl CoverageArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("coverage");
        steps.run("deps", || deps::ensure(workspace).and_then(|()| llvm_cov(workspace)))?;
        let counting = Counting::prepare(workspace)?;
        steps.run("clean", || run(&mut counting.cargo(["llvm-cov", "clean", "--workspace"])))?;
        steps.run("build", || run(&mut counting.cargo(["build", "--locked", "--workspace", "--bins"])))?;
        steps.run("tests", || run(&mut counting.cargo(["nextest", "run", "--locked", "--workspace"])))?;
        if self.html {
            let report = ["llvm-cov", "report", "--html", "--ignore-filename-regex", NOT_COUNTED];
            steps.run("html", || run(&mut counting.cargo(report)))?;
        }
        let limit = self.fail_under_lines.to_string();
        let report =
            ["llvm-cov", "report", "--summary-only", "--ignore-filename-regex", NOT_COUNTED, "--fail-under-lines"];
        steps.run("report", || run(counting.cargo(report).arg(&limit)))?;
        steps.finish();
        Ok(())
    }
}

fn llvm_cov(workspace: &Workspace) -> Outcome {
    if succeeds(&mut workspace.cargo(["llvm-cov", "--version"])) {
        return Ok(());
    }
    run(&mut workspace.cargo(["install", "--locked", "--debug", LLVM_COV]))
}

/// Cargo with the environment in which what it builds counts its lines.
struct Counting<'a> {
    workspace: &'a Workspace,
    environment: Vec<(String, String)>,
}

impl<'a> Counting<'a> {
    fn prepare(workspace: &'a Workspace) -> Outcome<Self> {
        let target_dir = workspace.target_dir.join("coverage").to_string_lossy().into_owned();
        let mut environment = llvm_tools(workspace)?;
        environment.push(("CARGO_TARGET_DIR".to_owned(), target_dir));
        let mut show = workspace.cargo(["llvm-cov", "show-env"]);
        show.envs(environment.iter().map(|(name, value)| (name, value)));
        environment.extend(output(&mut show)?.lines().filter_map(assignment));
        Ok(Self { workspace, environment })
    }

    fn cargo<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = self.workspace.cargo(args);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Reads `NAME='value'` or `NAME=value`.
fn assignment(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let bare = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
    Some((name.to_owned(), bare.to_owned()))
}

/// The two tools that read the counters: the toolchain's own where it has them, else Debian's of the same generation.
fn llvm_tools(workspace: &Workspace) -> Outcome<Vec<(String, String)>> {
    let libraries = output(&mut workspace.program("rustc", ["--print", "target-libdir"]))?;
    let own = PathBuf::from(libraries.trim()).with_file_name("bin").join("llvm-cov");
    if own.exists() {
        return Ok(Vec::new());
    }
    if !succeeds(&mut workspace.program("llvm-cov-19", ["--version"])) {
        let hint = |failure| Failure::new(format!("{failure}\nor type: rustup component add llvm-tools"));
        apt_get(workspace, &["llvm-19"]).map_err(hint)?;
    }
    Ok(vec![("LLVM_COV".into(), "llvm-cov-19".into()), ("LLVM_PROFDATA".into(), "llvm-profdata-19".into())])
}

#[cfg(test)]
mod tests {
    use super::assignment;

    #[test]
    fn shell_assignments_are_read_with_and_without_quotes() {
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(
            assignment("export RUSTFLAGS='-C instrument-coverage --cfg=coverage'"),
            pair("RUSTFLAGS", "-C instrument-coverage --cfg=coverage")
        );
        assert_eq!(assignment("CARGO_LLVM_COV=1"), pair("CARGO_LLVM_COV", "1"));
        assert_eq!(assignment("# nothing"), None);
    }
}
