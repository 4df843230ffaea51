//! `cargo xtask test`: everything that guards a change.

use crate::deps;
use crate::gates::{dependencies, released};
use crate::openapi::OpenapiArgs;
use crate::process::run;
use crate::step::{Outcome, Steps};
use crate::workspace::Workspace;
use clap::ValueEnum;

/// Run every check: formats, lints, tests, documentation, licences
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Run these steps alone
    #[arg(value_enum)]
    only: Vec<Step>,
}

/// One check. They run in this order: what fails quickly comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Install what the tests need
    Deps,
    /// No file would be changed by rustfmt
    Fmt,
    /// Released SQL files are unchanged
    ReleasedSql,
    /// Licences, banned crates, second versions
    Dependencies,
    /// No lint has anything to say
    Clippy,
    /// The programs that tests run
    Build,
    /// docs/openapi.json is what the control plane prints
    Openapi,
    /// Tests
    Tests,
    /// Examples in the documentation
    DocTests,
    /// The documentation has no broken link
    Docs,
}

impl TestArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("test");
        for step in Step::value_variants().iter().filter(|step| self.only.is_empty() || self.only.contains(step)) {
            let name = step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            steps.run(&name, || step.run(workspace))?;
        }
        steps.finish();
        Ok(())
    }
}

impl Step {
    fn run(self, workspace: &Workspace) -> Outcome {
        match self {
            Self::Deps => deps::ensure(workspace),
            Self::Fmt => run(&mut workspace.cargo(["fmt", "--all", "--check"])),
            Self::ReleasedSql => released::check(&workspace.root),
            Self::Dependencies => dependencies::check(workspace),
            Self::Clippy => run(&mut workspace.cargo([
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Build => run(&mut workspace.cargo(["build", "--locked", "--workspace", "--bins"])),
            Self::Openapi => OpenapiArgs { check: true }.run(workspace),
            Self::Tests => run(&mut workspace.cargo(["nextest", "run", "--locked", "--workspace"])),
            Self::DocTests => run(&mut workspace.cargo(["test", "--locked", "--workspace", "--doc"])),
            Self::Docs => {
                let mut doc = workspace.cargo(["doc", "--locked", "--workspace", "--no-deps"]);
                run(doc.env("RUSTDOCFLAGS", "-D warnings"))
            }
        }
    }
}
