//! `cargo xtask openapi`: the API's description, as the control plane itself prints it, kept in docs/.

use crate::process::{output, program, run};
use crate::step::{Failure, Outcome};
use crate::workspace::Workspace;
use std::fs;

const DOCUMENT: &str = "docs/openapi.json";

/// Write the OpenAPI document to docs/openapi.json
#[derive(Debug, clap::Args)]
pub(crate) struct OpenapiArgs {
    /// Change nothing, and fail where the file differs from what the control plane prints
    #[arg(long)]
    pub(crate) check: bool,
}

impl OpenapiArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        // The whole workspace, as the other steps build it: one package alone would build its crates anew.
        run(&mut workspace.cargo(["build", "--quiet", "--locked", "--workspace", "--bins"]))?;
        let plane = workspace.target_dir.join("debug/gk-control-plane");
        let printed = output(program(plane, &workspace.root).arg("openapi"))?;
        let path = workspace.root.join(DOCUMENT);
        if !self.check {
            return fs::write(&path, printed)
                .map_err(|error| Failure::new(format!("writing {}: {error}", path.display())));
        }
        if fs::read_to_string(&path).is_ok_and(|kept| kept == printed) {
            return Ok(());
        }
        Err(Failure::new(format!("{DOCUMENT} is not what the control plane prints: run `cargo xtask openapi`")))
    }
}
