//! From the arguments to the exit code.
//!
//! Always holds: `gk --version` and help read no file and start no runtime; an error is shown once, here; the exit code
//! comes from `shared::exit` or, for `gk exec`, from the child.

use std::ffi::OsString;

use clap::Parser as _;
use gk_shared::exit::ExitCode;

use crate::app::App;
use crate::cli::{Cli, Command};
use crate::commands as cmd;
use crate::env::Env;
use crate::error::CliError;
use crate::output::{Output, OutputFlags};
use crate::usage;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this code.
    Code(ExitCode),
    /// As the child of `gk exec` did.
    Child(u8),
}

impl Exit {
    /// All went well.
    pub(crate) const OK: Self = Self::Code(ExitCode::Ok);

    fn number(self) -> u8 {
        match self {
            Self::Code(code) => code.number(),
            Self::Child(number) => number,
        }
    }
}

/// Runs `gk` with these arguments.
#[must_use]
pub fn run(args: &[OsString]) -> std::process::ExitCode {
    let number = match parse(args) {
        Ok(cli) => execute(cli),
        Err(exit) => exit.number(),
    };
    std::process::ExitCode::from(number)
}

/// Reads the command line; help and version are printed here, faults are shown here.
fn parse(args: &[OsString]) -> Result<Cli, Exit> {
    let env = Env::from_process();
    let wants_json = usage::wants_json(args);
    let out = Output::new(OutputFlags { json: wants_json, ..OutputFlags::default() }, &env);
    let shown = |error: CliError| {
        out.error(&error);
        Exit::Code(error.exit())
    };
    usage::check_text(args).map_err(shown)?;
    Cli::try_parse_from(args).map_err(|error| match usage::read(&error) {
        usage::Parsed::Show(text) => match out.raw(text.as_bytes()) {
            Ok(()) => Exit::OK,
            Err(error) if error.is_reader_left() => Exit::OK,
            Err(error) => shown(error),
        },
        usage::Parsed::Fault(error) => shown(error),
    })
}

fn execute(cli: Cli) -> u8 {
    let app = App::new(cli.globals, Env::from_process());
    let ended = start(&app, cli.command);
    match ended {
        Ok(exit) => exit.number(),
        // `head` has seen enough; nobody is told.
        Err(error) if error.is_reader_left() => ExitCode::Ok.number(),
        Err(error) => {
            let error = app.with_token_source(error);
            app.out.error(&error);
            error.exit().number()
        }
    }
}

/// Commands that call nobody run at once; the others get a runtime.
fn start(app: &App, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Explain(args) => cmd::explain::run(app, &args),
        Command::Completion(args) => cmd::completion::run(app, &args),
        Command::Man(args) => cmd::man::run(app, &args),
        Command::Help(args) => cmd::help::run(app, &args),
        Command::Context(command) => cmd::context::run(app, command),
        Command::Config(command) => cmd::config::run(app, &command),
        Command::Logout(args) => cmd::logout::run(app, &args),
        #[cfg(feature = "dev")]
        Command::Dev(args) => runtime(Threads::Many)?.block_on(cmd::dev::run(app, args)),
        command => runtime(Threads::One)?.block_on(Box::pin(call(app, command))),
    }
}

async fn call(app: &App, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Login(args) => cmd::login::run(app, args).await,
        Command::Auth(command) => cmd::auth::run(app, &command).await,
        Command::Session(command) => Box::pin(cmd::session::run(app, command)).await,
        Command::Exec(args) => Box::pin(cmd::exec::run(app, args)).await,
        Command::Connect(args) => Box::pin(cmd::connect::run(app, args)).await,
        Command::Target(command) => cmd::target::run(app, command).await,
        Command::Role(command) => cmd::role::run(app, command).await,
        Command::Audit(command) => Box::pin(cmd::audit::run(app, command)).await,
        Command::Trace(args) => Box::pin(cmd::trace::run(app, &args)).await,
        Command::Cleanup(command) => cmd::cleanup::run(app, command).await,
        Command::Recover(command) => cmd::recover::run(app, command).await,
        Command::Token(command) => cmd::token::run(app, command).await,
        Command::Agent(command) => cmd::agent::run(app, command).await,
        Command::Status(args) => cmd::status::run(app, &args).await,
        Command::Doctor(args) => Box::pin(cmd::doctor::run(app, &args)).await,
        Command::Version(args) => cmd::version::run(app, &args).await,
        #[cfg(feature = "dev")]
        Command::Dev(_) => unreachable!("was started with a runtime of its own"),
        Command::Explain(_)
        | Command::Completion(_)
        | Command::Man(_)
        | Command::Help(_)
        | Command::Context(_)
        | Command::Config(_)
        | Command::Logout(_) => unreachable!("runs without a runtime"),
    }
}

#[derive(Clone, Copy)]
enum Threads {
    One,
    #[cfg(feature = "dev")]
    Many,
}

fn runtime(threads: Threads) -> Result<tokio::runtime::Runtime, CliError> {
    let mut builder = match threads {
        Threads::One => tokio::runtime::Builder::new_current_thread(),
        #[cfg(feature = "dev")]
        Threads::Many => tokio::runtime::Builder::new_multi_thread(),
    };
    builder
        .enable_all()
        .build()
        .map_err(|error| CliError::new(gk_shared::problem::ErrorCode::Internal, format!("cannot start: {error}")))
}
