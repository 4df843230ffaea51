//! `agent-ca`: the authority that certifies agents.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use gk_control_plane::machine::Machine;
use gk_edge::pki::new_authority;

use super::say;
use crate::failure::Failure;

/// Make the authority that certifies agents
#[derive(Debug, Args)]
pub(crate) struct AgentCa {
    /// Directory to write agent-ca.pem and agent-ca.key to; files that are there are left alone
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl AgentCa {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let (public, secret) = (self.out.join("agent-ca.pem"), self.out.join("agent-ca.key"));
        if public.exists() {
            return Err(Failure::config(format!("--out: {} is there already, and may have signed", public.display())));
        }
        let made = new_authority(Machine::system().now()).map_err(|error| Failure::config(error.to_string()))?;
        write(&secret, &made.key, 0o600)?;
        write(&public, &made.public, 0o644)?;
        say(&format!(
            "made {} and {}: name them in tls.agent_ca_file and tls.agent_ca_key_file, then restart",
            public.display(),
            secret.display()
        ))
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::config(format!("--out: {}: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}
