//! The command line of `gk-agent`.
//!
//! Always holds: stdout carries what was asked for and nothing else; a failure says what to do and ends with an exit
//! code of `gk`'s list; no secret is an argument.

mod bootstrap;
mod check;
mod doctor;
mod enroll;
mod healthcheck;
mod run;

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;
use tracing_subscriber::EnvFilter;

use crate::config::{self, AgentConfig, Environment, Faults};

/// Makes just-in-time database logins beside the database, and ends them on time.
#[derive(Debug, Parser)]
#[command(name = "gk-agent", version, about, max_term_width = 100)]
struct Cli {
    /// Configuration file (default: /etc/gatekeeper/agent.toml if there is one, else PGHOST and its like).
    #[arg(long, global = true, value_name = "FILE", env = "GK_AGENT_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the configured targets until INT or TERM.
    Run(RunArgs),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look for what is missing on targets and control plane, and print the SQL that mends it; changes nothing.
    Doctor(DoctorArgs),
    /// Ask the running agent whether it is well; for containers.
    Healthcheck(HealthArgs),
    /// Fetch the agent's certificate with a one-time token.
    Enroll(enroll::EnrollArgs),
    /// Make a Postgres database a target: roles, helpers and role packs.
    Bootstrap(bootstrap::BootstrapArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Log as one JSON object a line.
    #[arg(long)]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the configuration and say everything that is wrong with it.
    Check,
}

#[derive(Debug, Args)]
struct DoctorArgs {
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
    /// Exit with 10 on advice, too, and not only on what has to be mended.
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Args)]
struct HealthArgs {
    /// Also fail while the control plane or every target is out of reach.
    #[arg(long)]
    ready: bool,
}

/// How a command failed.
#[derive(Debug)]
struct Failed {
    exit: ExitCode,
    text: String,
}

impl Failed {
    fn new(exit: ExitCode, text: impl fmt::Display) -> Self {
        Self { exit, text: text.to_string() }
    }
}

impl From<Faults> for Failed {
    fn from(faults: Faults) -> Self {
        Self::new(faults.code().exit(), faults)
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::new(ExitCode::Failure, format!("the result could not be written out: {error}"))
    }
}

/// What a command gives: the exit code of one that ran to its end.
type Outcome = Result<ExitCode, Failed>;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> std::process::ExitCode {
    gk_edge::harden::this_process();
    let cli = Cli::parse();
    let environment = Environment::of_process();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::new(ExitCode::Failure, error))
        .and_then(|runtime| runtime.block_on(dispatch(cli, &environment)));
    let exit = done.unwrap_or_else(|failed| {
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(std::io::stderr().lock(), "gk-agent: {}", failed.text);
        failed.exit
    });
    std::process::ExitCode::from(exit.number())
}

async fn dispatch(cli: Cli, environment: &Environment) -> Outcome {
    let load = || load(cli.config.as_deref(), environment);
    match cli.command {
        Command::Run(args) => {
            log(log_filter(environment)?, args.log_json);
            run::run(load()?).await
        }
        Command::Config(ConfigCommand::Check) => check::check(&load()?),
        Command::Doctor(args) => doctor::doctor(load()?, &args).await,
        Command::Healthcheck(args) => healthcheck::healthcheck(&load()?, args.ready).await,
        Command::Enroll(args) => enroll::enroll(&load()?, &args).await,
        Command::Bootstrap(args) => bootstrap::bootstrap(args).await,
    }
}

/// The configuration: from the file that was named, else from the usual one if it exists, else from the environment.
fn load(named: Option<&Path>, environment: &Environment) -> Result<AgentConfig, Faults> {
    let usual = Path::new(config::DEFAULT_FILE);
    let file = named.or_else(|| usual.exists().then_some(usual));
    config::load(file, environment)
}

/// What is logged: as `GK_LOG` says, else `LOG_LEVEL`, else `info`. One that cannot be read is refused, as the control
/// plane does: whoever set it looks for lines that would never come.
fn log_filter(environment: &Environment) -> Result<EnvFilter, Failed> {
    let set = ["GK_LOG", "LOG_LEVEL"].into_iter().find_map(|name| Some((name, environment.get(name)?)));
    let (name, wanted) = set.unwrap_or(("GK_LOG", "info"));
    wanted.parse().map_err(|error| {
        let asked = "expected error, warn, info, debug, trace or a filter such as warn,gk_agent=debug";
        let code = ErrorCode::ConfigInvalid;
        Failed::new(code.exit(), format!("{name}: {asked}: {error} [{}]", code.as_str()))
    })
}

/// Logs to stderr.
fn log(filter: EnvFilter, json: bool) {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let set = if json { log.json().try_init() } else { log.with_ansi(false).try_init() };
    if let Err(error) = set {
        let _ = writeln!(std::io::stderr().lock(), "gk-agent: no log: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_log_filter_that_cannot_be_read_is_refused_and_named() {
        let read = |name, text| log_filter(&Environment::from([(name, text)]));
        for (name, text) in [("GK_LOG", "a=b=c"), ("LOG_LEVEL", "gk_agent=loud")] {
            let failed = read(name, text).expect_err("refused");
            assert_eq!(failed.exit, ErrorCode::ConfigInvalid.exit());
            assert!(failed.text.starts_with(name), "{}", failed.text);
        }
        assert_eq!(read("GK_LOG", "warn,gk_agent=debug").expect("a filter").to_string(), "gk_agent=debug,warn");
        assert_eq!(log_filter(&Environment::default()).expect("a filter").to_string(), "info");
        let both = Environment::from([("GK_LOG", "debug"), ("LOG_LEVEL", "a=b=c")]);
        assert_eq!(log_filter(&both).expect("GK_LOG stands over the other").to_string(), "debug");
    }

    #[test]
    fn no_flag_takes_a_secret() {
        fn names(command: &clap::Command) -> Vec<String> {
            let own = command.get_arguments().map(|arg| arg.get_id().to_string());
            own.chain(command.get_subcommands().flat_map(names)).collect()
        }
        for name in names(&Cli::command()) {
            let secret = ["password", "token", "dsn"].iter().any(|word| name.contains(word));
            assert!(!secret || name.ends_with("_file"), "{name}");
        }
    }
}
