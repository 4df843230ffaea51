//! `cargo xtask torture`: the fault matrix against the whole system.

use crate::deps;
use crate::process::{program, run};
use crate::step::{Failure, Outcome, Steps};
use crate::workspace::Workspace;
use std::path::PathBuf;

/// From here on doses are long: past every lease and time-out.
const LONG_FROM_MINUTES: u64 = 15;

/// Break everything that can break for a while, and look that the promises hold
#[derive(Debug, clap::Args)]
pub(crate) struct TortureArgs {
    /// How long to go on; each fault is injected once even if that takes longer
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// The seed that an earlier run printed
    #[arg(long)]
    seed: Option<u64>,
    /// These faults alone, such as F2,F16
    #[arg(long)]
    only: Option<String>,
    /// Where gk-agent and gk-control-plane of an earlier version lie, for F38 [default: earlier/ beside the built programs]
    #[arg(long)]
    earlier: Option<PathBuf>,
    /// Write docs/reliability/torture.md and the JSON beside it
    #[arg(long)]
    write: bool,
    /// Passed on to gk-torture
    #[arg(last = true)]
    passed_on: Vec<String>,
}

impl TortureArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("torture");
        steps.run("deps", || deps::ensure(workspace))?;
        steps.run("build", || run(&mut workspace.cargo(["build", "--quiet", "--locked", "--workspace", "--bins"])))?;
        let pages = workspace.root.join("docs/reliability");
        if self.write {
            std::fs::create_dir_all(&pages)
                .map_err(|error| Failure::new(format!("making {}: {error}", pages.display())))?;
        }
        steps.run("torture", || {
            let mut torture = program(workspace.target_dir.join("debug/gk-torture"), &workspace.root);
            torture.arg("--minutes").arg(self.minutes.to_string());
            if let Some(seed) = self.seed {
                torture.arg("--seed").arg(seed.to_string());
            }
            if let Some(only) = &self.only {
                torture.arg("--only").arg(only);
            }
            if let Some(earlier) = &self.earlier {
                torture.arg("--earlier").arg(earlier);
            }
            if self.minutes >= LONG_FROM_MINUTES {
                torture.arg("--long");
            }
            if self.write {
                torture.arg("--markdown").arg(pages.join("torture.md")).arg("--json").arg(pages.join("torture.json"));
            }
            run(torture.args(&self.passed_on))
        })?;
        steps.finish();
        Ok(())
    }
}
