//! `gk-control-plane`: runs the control plane, and the few things that are done beside it.
//!
//! An error is one line on stderr: what, why, and the fix. Exit codes are those of `gk`; faults in the settings are 2.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use gk_control_plane::config::{LedgerConfig, PlaneConfig, read_secret};
use gk_shared::secret::SecretDsn;

use crate::failure::Failure;

mod commands;
mod failure;

/// How long a thread that hangs may hold up the end of the process.
const STUCK: Duration = Duration::from_secs(1);

/// The control plane of Gatekeeper
#[derive(Debug, Parser)]
#[command(name = "gk-control-plane", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Settings {
    /// Settings file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GK_CONTROL_PLANE_CONFIG",
        default_value = "/etc/gatekeeper/control-plane.toml"
    )]
    config: PathBuf,
}

impl Settings {
    fn load(&self) -> Result<PlaneConfig, Failure> {
        Ok(PlaneConfig::load(&self.config, &environment)?)
    }
}

#[expect(clippy::disallowed_methods, reason = "the environment is read here, once, for the settings")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The ledger, for work that is done as another login than the one that serves.
#[derive(Debug, Args)]
struct LedgerChoice {
    /// File with the connection string of the login to use, instead of the one in the settings
    #[arg(long, value_name = "FILE")]
    ledger_url_file: Option<PathBuf>,
}

impl LedgerChoice {
    fn load(&self, settings: &Settings) -> Result<LedgerConfig, Failure> {
        let Some(file) = &self.ledger_url_file else { return Ok(settings.load()?.ledger) };
        let url = read_secret(file).map_err(|error| Failure::new(error.code(), error.to_string()))?;
        LedgerConfig::from_url(&SecretDsn::from(url))
            .map_err(|error| Failure::config(format!("{}: {error}", file.display())))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control plane
    Run,
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Bring the ledger's schema up to date
    Migrate(LedgerChoice),
    /// Ask a running control plane whether it can serve
    Healthcheck,
    /// Make a token for an admin, straight in the ledger
    AdminToken(commands::AdminToken),
    AuditKey(commands::AuditKey),
    AgentCa(commands::AgentCa),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the settings and the policy, and name every fault
    Check,
}

fn main() -> ExitCode {
    gk_edge::harden::this_process();
    gk_edge::install_tls();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::system("cannot start the runtime", &error).report(),
    };
    let done = runtime.block_on(run(cli));
    // A thread that hangs with a disk or a pipe must not keep the process from ending.
    runtime.shutdown_timeout(STUCK);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let settings = &cli.settings;
    match cli.command {
        Command::Run => commands::run(settings.load()?).await,
        Command::Config(ConfigCommand::Check) => commands::check(&settings.load()?),
        Command::Migrate(choice) => commands::migrate(&choice.load(settings)?).await,
        Command::Healthcheck => commands::healthcheck(&settings.load()?).await,
        Command::AdminToken(command) => {
            let ledger = command.ledger.load(settings)?;
            command.run(&ledger).await
        }
        Command::AuditKey(command) => command.run(settings).await,
        Command::AgentCa(command) => command.run(),
        Command::Openapi => commands::openapi(),
    }
}
