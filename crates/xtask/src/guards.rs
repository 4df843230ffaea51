//! `cargo xtask guards`: each guard of the SQL helpers taken away, one at a time, and which test notices.

use crate::process::run;
use crate::step::{Outcome, Steps};
use crate::workspace::Workspace;

/// Take each guard of the SQL helpers away, one at a time: some test has to fail
///
/// Part of every test run; this shows which test noticed what.
#[derive(Debug, clap::Args)]
pub(crate) struct GuardsArgs {}

impl GuardsArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("guards");
        steps.run("guards", || {
            run(&mut workspace.cargo([
                "nextest",
                "run",
                "--locked",
                "--workspace",
                "--test",
                "sql_target",
                "--success-output",
                "final",
                "-E",
                "test(guards)",
            ]))
        })?;
        steps.finish();
        Ok(())
    }
}
