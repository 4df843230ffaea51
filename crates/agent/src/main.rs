//! `gk-agent`: everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    gk_agent::cli::main()
}
