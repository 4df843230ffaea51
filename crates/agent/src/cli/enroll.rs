//! `gk-agent enroll`: a one-time token becomes a certificate, whose key never leaves this machine.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use gk_edge::pki::new_request;
use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::agent::CertifyAgent;

use super::{Failed, Outcome};
use crate::api::{ApiError, PlaneClient};
use crate::config::{AgentConfig, Credential, read_token_file};

#[derive(Debug, Args)]
pub(super) struct EnrollArgs {
    /// File with the one-time token of `gk agent enroll NAME --certificate`, mode 0600.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

pub(super) async fn enroll(config: &AgentConfig, args: &EnrollArgs) -> Outcome {
    let Credential::Certificate(file) = &config.credential else {
        let text =
            "the configuration has a token and no place for a certificate: set identity_file instead of token_file";
        return Err(Failed::new(ErrorCode::ConfigInvalid.exit(), text));
    };
    let token = read_token_file(&args.token_file)?;
    let failed = |error: &dyn std::fmt::Display| Failed::new(ExitCode::Failure, error);
    let made = new_request().map_err(|error| failed(&error))?;
    // Before the token is used up: is there a place for what it gives?
    file.check_place().map_err(|error| failed(&error))?;
    let certified = PlaneClient::enroll(config, &token, &CertifyAgent { request: made.public }).await;
    let certified = certified.map_err(|error| match &error {
        ApiError::Refused(problem) => {
            let exit = problem.code.parse::<ErrorCode>().map_or(ExitCode::Failure, ErrorCode::exit);
            Failed::new(exit, format!("{error}\n  {}", problem.hint))
        }
        ApiError::Unreachable(_) => Failed::new(ExitCode::Unavailable, &error),
        ApiError::Malformed(_) | ApiError::Identity(_) => failed(&error),
    })?;
    file.write(&made.key, &certified.certificate).map_err(|error| failed(&error))?;
    let (name, until, place) = (certified.name, certified.expires_at, file.path().display());
    writeln!(std::io::stdout(), "{name} has a certificate until {until:.0} in {place}; the agent renews it by itself")?;
    Ok(ExitCode::Ok)
}
