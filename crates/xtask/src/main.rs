//! `cargo xtask`: the one door for people and CI to build, test and measure this workspace.
//!
//! One command a file. A command is a list of named steps; each says how long it took, and the first that fails ends
//! the command. Nothing is written outside the build directory and Cargo's own caches, except the system packages that
//! `deps` installs as root.

#![expect(clippy::print_stderr, reason = "a task runner talks to the person who ran it")]

mod bench;
mod coverage;
mod demo;
mod deps;
mod fuzz;
mod gates;
mod guards;
mod openapi;
mod process;
mod release;
mod release_sql;
mod servers;
mod step;
mod test;
mod torture;
mod wheel;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use workspace::Workspace;

/// Build, test and measure Gatekeeper
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::BenchArgs),
    Coverage(coverage::CoverageArgs),
    Demo(demo::DemoArgs),
    Deps(deps::DepsArgs),
    Fuzz(fuzz::FuzzArgs),
    Guards(guards::GuardsArgs),
    Openapi(openapi::OpenapiArgs),
    Release(release::ReleaseArgs),
    ReleaseSql(release_sql::ReleaseSqlArgs),
    Test(test::TestArgs),
    Torture(torture::TortureArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = Workspace::find().and_then(|workspace| match args.command {
        Command::Bench(args) => args.run(&workspace),
        Command::Coverage(args) => args.run(&workspace),
        Command::Demo(args) => args.run(&workspace),
        Command::Deps(args) => args.run(&workspace),
        Command::Fuzz(args) => args.run(&workspace),
        Command::Guards(args) => args.run(&workspace),
        Command::Openapi(args) => args.run(&workspace),
        Command::Release(args) => args.run(&workspace),
        Command::ReleaseSql(args) => args.run(&workspace),
        Command::Test(args) => args.run(&workspace),
        Command::Torture(args) => args.run(&workspace),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
