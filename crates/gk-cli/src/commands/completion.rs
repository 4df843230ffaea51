//! `gk completion`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::app::App;
use crate::error::CliError;
use crate::run::Exit;

/// Print the completion script of a shell
///
/// For bash: gk completion bash > ~/.local/share/bash-completion/completions/gk
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::Cli::command(), "gk", &mut script);
    app.out.raw(&script)?;
    Ok(Exit::OK)
}
