//! `cargo xtask bench`: builds the programs as they are released and measures them, beside raw SQL and, where asked,
//! beside OpenBao.

mod openbao;

use crate::deps;
use crate::process::{program, run};
use crate::step::{Outcome, Steps};
use crate::workspace::Workspace;
use std::path::PathBuf;

/// Measure sessions, and write docs/PERFORMANCE.md and docs/performance/
///
/// Without options: what takes five minutes. Scenarios: sessions, saturation, reconnect, neighbour, boot, flat, roles,
/// memory, cycles, pairs.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Measure these scenarios alone, such as `saturation,boot`
    #[arg(long, value_name = "SCENARIOS", conflicts_with = "all")]
    only: Option<String>,
    /// Measure everything: about an hour
    #[arg(long)]
    all: bool,
    /// Another product that takes part
    #[arg(long)]
    peer: Option<Peer>,
    /// Its server, instead of the one that the Python registry carries
    #[arg(long, value_name = "PATH", requires = "peer")]
    openbao_binary: Option<PathBuf>,
    /// Leave docs/ as it is
    #[arg(long)]
    print_only: bool,
    /// Passed on: `--rounds N`, `--ends N`, `--cycles N`
    #[arg(last = true)]
    passed_on: Vec<String>,
}

/// Products that can take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Peer {
    /// OpenBao, with raft storage, a file audit device and its database engine
    Openbao,
}

impl BenchArgs {
    pub(crate) fn run(self, workspace: &Workspace) -> Outcome {
        let mut steps = Steps::of("bench");
        steps.run("deps", || deps::ensure(workspace))?;
        let mut measure = program(workspace.target_dir.join("release/gk-bench"), &workspace.root);
        measure.arg("--root").arg(&workspace.root);
        if let Some(Peer::Openbao) = self.peer {
            steps.run("openbao", || {
                let binary = match &self.openbao_binary {
                    Some(path) => openbao::given(path)?,
                    None => openbao::ensure(workspace)?,
                };
                measure.arg("--openbao-binary").arg(binary);
                Ok(())
            })?;
        }
        let build = ["build", "--quiet", "--locked", "--release", "--workspace", "--bins", "--exclude", "xtask"];
        steps.run("build", || run(&mut workspace.cargo(build)))?;
        measure.args(self.only.iter().flat_map(|only| ["--only", only]));
        measure.args(self.all.then_some("--all")).args(self.print_only.then_some("--print-only")).args(&self.passed_on);
        steps.run("measure", || run(&mut measure))?;
        steps.finish();
        Ok(())
    }
}
