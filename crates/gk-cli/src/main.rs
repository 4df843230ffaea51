//! `gk`: just-in-time access to Postgres, from the terminal.

fn main() -> std::process::ExitCode {
    gk_cli::run(&std::env::args_os().collect::<Vec<_>>())
}
