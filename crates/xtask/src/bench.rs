//! `cargo xtask bench`: builds the programs as they are released and measures them beside the raw transaction.

use crate::deps;
use crate::process::{program, run};
use crate::step::{Outcome, Steps};
use crate::workspace::Workspace;

/// Measure sessions beside the raw transaction, and write docs/PERFORMANCE.md
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Leave docs/PERFORMANCE.md as it is
    #[arg(long)]
    print_only: bool,
    /// Passed on: `--rounds N`, `--each N`, `--ends N`
    #[arg(last = true)]
    passed_on: Vec<String>,
}

impl BenchArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("bench");
        steps.run("deps", || deps::ensure(workspace))?;
        let build = ["build", "--quiet", "--locked", "--release", "--workspace", "--bins", "--exclude", "xtask"];
        steps.run("build", || run(&mut workspace.cargo(build)))?;
        steps.run("measure", || {
            let mut bench = program(workspace.target_dir.join("release/gk-bench"), &workspace.root);
            bench.arg("--json").arg(workspace.target_dir.join("bench.json")).args(&self.passed_on);
            if !self.print_only {
                bench.arg("--markdown").arg(workspace.root.join("docs/PERFORMANCE.md"));
            }
            run(&mut bench)
        })?;
        steps.finish();
        Ok(())
    }
}
