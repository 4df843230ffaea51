//! `gk-agent config check`: what the agent would run with, without its secrets.

use std::io::Write as _;

use gk_shared::exit::ExitCode;

use super::Outcome;
use crate::config::{AgentConfig, Credential};

pub(super) fn check(config: &AgentConfig) -> Outcome {
    let mut out = std::io::stdout().lock();
    writeln!(out, "control plane  {}", config.control_plane)?;
    match &config.credential {
        Credential::Token(_) => writeln!(out, "shows          a token")?,
        Credential::Certificate(file) => writeln!(out, "shows          the certificate in {}", file.path().display())?,
    }
    if let Some(listen) = config.listen {
        writeln!(out, "listens on     {listen}")?;
    }
    writeln!(out, "slots          {}", config.slots)?;
    for target in &config.targets {
        writeln!(
            out,
            "target         {} = {}@{}:{}/{}, clients are given {}:{}",
            target.name,
            target.user,
            target.host,
            target.port,
            target.database,
            target.advertise_host,
            target.advertise_port
        )?;
    }
    Ok(ExitCode::Ok)
}
