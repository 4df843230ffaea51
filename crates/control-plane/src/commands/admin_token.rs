//! `admin-token`: the first token of an installation, or one for an admin who lost theirs.
//!
//! Whoever can reach the ledger may do this; the audit log says that it was done.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use gk_control_plane::config::LedgerConfig;
use gk_control_plane::store::actors::is_reserved;
use gk_shared::names::ActorName;
use gk_shared::problem::ErrorCode;
use gk_shared::secret::BearerToken;
use gk_shared::ttl::Ttl;

use super::say;
use crate::LedgerChoice;
use crate::failure::Failure;

/// Make a token for an admin, straight in the ledger
#[derive(Debug, Args)]
pub(crate) struct AdminToken {
    /// Name of the admin
    #[arg(long)]
    name: ActorName,
    /// File to write the token to, made with mode 0600; `-` for stdout
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it works
    #[arg(long, default_value = "12h")]
    ttl: Ttl,
    #[command(flatten)]
    pub(crate) ledger: LedgerChoice,
}

impl AdminToken {
    pub(crate) async fn run(self, ledger: &LedgerConfig) -> Result<(), Failure> {
        if is_reserved(&self.name) {
            let text =
                format!("--name {}: the log names the control plane's own acts so; choose another name", self.name);
            return Err(Failure::new(ErrorCode::InvalidName, text));
        }
        let made = gk_control_plane::admin_token(ledger, self.name.clone(), self.ttl.as_duration()).await?;
        if self.out == Path::new("-") {
            return say(made.token.expose());
        }
        write(&self.out, &made.token)?;
        let (id, name, file) = (made.id, self.name, self.out.display());
        let _ = writeln!(std::io::stderr(), "{id} for {name} is in {file}, works until {}", made.expires_at);
        Ok(())
    }
}

/// A file that is there already is left alone: it may hold a token that somebody uses.
fn write(path: &Path, token: &BearerToken) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::config(format!("--out {}: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    writeln!(file, "{}", token.expose()).map_err(failed)
}
