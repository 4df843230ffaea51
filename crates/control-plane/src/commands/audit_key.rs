//! `audit-key`: the key that signs the audit log: a first one, the next one, and what others pin.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use gk_control_plane::config::{LedgerConfig, PlaneConfig};
use gk_shared::audit::note::SigningKey;

use super::say;
use crate::failure::Failure;
use crate::{LedgerChoice, Settings};

/// Make the key that signs the audit log, replace it, or show what others may pin
#[derive(Debug, Args)]
pub(crate) struct AuditKey {
    /// File to write the new key to, made with mode 0600
    #[arg(long, value_name = "FILE", required_unless_present = "show")]
    out: Option<PathBuf>,
    /// Let the key in the settings introduce the new one, which signs from now on
    #[arg(long, conflicts_with = "show")]
    rotate: bool,
    /// Print the keys of the log, the newest last, as `gk audit verify --key` takes them
    #[arg(long, conflicts_with = "out")]
    show: bool,
    #[command(flatten)]
    ledger: LedgerChoice,
}

impl AuditKey {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let Some(out) = &self.out else { return show(&self.ledger.load(settings)?).await };
        if !self.rotate {
            make(out)?;
            return note(&format!("made {}: name it in audit.signing_key_file, then restart", out.display()));
        }
        let ledger = self.ledger.load(settings)?;
        let old = present(&settings.load()?)?;
        let new = make(out)?;
        let rotated = match gk_control_plane::rotate_audit_key(&ledger, &old, &new).await {
            Ok(rotated) => rotated,
            Err(error) => {
                // A key that signs nothing would only be mistaken for one that does.
                let _ = std::fs::remove_file(out);
                return Err(error.into());
            }
        };
        say(&rotated.verifier)?;
        let (out, epoch, starts) = (out.display(), rotated.epoch, rotated.starts);
        note(&format!(
            "epoch {epoch} begins at size {starts}: name {out} in audit.signing_key_file and restart every control plane; the old key signs no more"
        ))
    }
}

async fn show(ledger: &LedgerConfig) -> Result<(), Failure> {
    for key in gk_control_plane::audit_keys(ledger).await? {
        say(&key)?;
    }
    Ok(())
}

fn present(config: &PlaneConfig) -> Result<std::sync::Arc<SigningKey>, Failure> {
    let missing = "--rotate: the settings name no audit.signing_key_file; without --rotate a first key is made";
    config.audit.signing_key.clone().ok_or_else(|| Failure::config(missing))
}

/// A file that is there already is left alone: it may hold a key that signs.
fn make(path: &Path) -> Result<SigningKey, Failure> {
    let key = SigningKey::generate(&mut rand::rng());
    let failed = |error: std::io::Error| Failure::config(format!("--out {}: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    writeln!(file, "{}", key.to_text().expose()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(key)
}

fn note(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stderr(), "{text}").map_err(|error| Failure::system("cannot write to stderr", &error))
}
