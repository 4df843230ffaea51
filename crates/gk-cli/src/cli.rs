//! The command line: which commands there are and which flags stand with all of them.

use clap::{Args, Parser, Subcommand};

use crate::commands as cmd;
use crate::context::ContextName;
use crate::output::{ColorChoice, FieldPath};

/// Just-in-time access to Postgres: a login that lives as long as your work, and proof of its end
///
/// stdout is the answer and nothing else; `gk help exit-codes` lists the exit codes; `gk explain CODE` says what an
/// error means.
#[derive(Debug, Parser)]
#[command(name = "gk", version, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// Answer with one JSON object on stdout, and with one on stderr for an error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print this value of the JSON answer alone, such as expiresAt or sessions.0.status
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) field: Option<FieldPath>,
    /// Call this control plane
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) address: Option<String>,
    /// Use this context instead of the current one
    #[arg(long, global = true, value_name = "NAME", value_parser = crate::arg::checked::<ContextName>)]
    pub(crate) context: Option<ContextName>,
    /// Never ask; a value that is missing is an error
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Say nothing on stderr but warnings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Show the calls that are made, without any secret
    #[arg(long, global = true)]
    pub(crate) debug: bool,
    /// Colours on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    pub(crate) color: ColorChoice,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[cfg(feature = "dev")]
    Dev(cmd::dev::Args),
    Login(cmd::login::Args),
    Logout(cmd::logout::Args),
    #[command(subcommand)]
    Auth(cmd::auth::Auth),
    #[command(subcommand)]
    Context(cmd::context::Context),
    #[command(subcommand)]
    Config(cmd::config::Config),
    #[command(subcommand)]
    Session(cmd::session::Session),
    Exec(cmd::exec::Args),
    Connect(cmd::connect::Args),
    #[command(subcommand)]
    Target(cmd::target::Target),
    #[command(subcommand)]
    Role(cmd::role::Role),
    #[command(subcommand)]
    Audit(cmd::audit::Audit),
    Trace(cmd::trace::Args),
    #[command(subcommand)]
    Cleanup(cmd::cleanup::Cleanup),
    #[command(subcommand)]
    Recover(cmd::recover::Recover),
    #[command(subcommand)]
    Token(cmd::token::Token),
    #[command(subcommand)]
    Agent(cmd::agent::Agent),
    Status(cmd::status::Args),
    Doctor(cmd::doctor::Args),
    Explain(cmd::explain::Args),
    Completion(cmd::completion::Args),
    Man(cmd::man::Args),
    Version(cmd::version::Args),
    Help(cmd::help::Args),
}
