//! `gk man`.

use clap::{Command, CommandFactory as _};
use gk_shared::problem::ErrorCode;

use crate::app::App;
use crate::error::CliError;
use crate::run::Exit;

/// Print a manual page: gk man session create | man -l -
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Command; without one the page of gk itself
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let command = find(&args.command)?;
    let mut page = Vec::new();
    let unwritable =
        |error: std::io::Error| CliError::new(ErrorCode::OutputFailed, format!("cannot write output: {error}"));
    let source = format!("gk {}", crate::convert::VERSION);
    clap_mangen::Man::new(command).source(source).render(&mut page).map_err(unwritable)?;
    app.out.raw(&page)?;
    Ok(Exit::OK)
}

/// The command of these words, named in full.
pub(super) fn find(words: &[String]) -> Result<Command, CliError> {
    let mut command = crate::cli::Cli::command();
    // Sets the flags of every command in all of them.
    command.build();
    let mut name = "gk".to_owned();
    for word in words {
        let inner = command.find_subcommand(word).cloned().ok_or_else(|| {
            CliError::usage(format!("there is no command `{name} {}`", crate::error::plain(word)))
                .next("See `gk --help`.")
        })?;
        name = format!("{name} {word}");
        command = inner;
    }
    Ok(command)
}
