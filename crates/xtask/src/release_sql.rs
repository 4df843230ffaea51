//! `cargo xtask release-sql`: from now on these SQL files never change.

use crate::gates::released;
use crate::step::{Failure, Outcome};
use crate::workspace::Workspace;

/// Add every new file below sql/ to the list of released ones, which never change again
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseSqlArgs {}

impl ReleaseSqlArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        released::check(&workspace.root)?;
        let list = released::list_of_all(&workspace.root)?;
        let path = workspace.root.join(released::LIST);
        std::fs::write(&path, list).map_err(|error| Failure::new(format!("writing {}: {error}", path.display())))
    }
}
