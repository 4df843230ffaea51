//! The `[audit]` table: the key that signs the log, and where checkpoints are kept outside the ledger.

use std::path::Path;
use std::sync::Arc;

use gk_shared::audit::note::SigningKey;

use super::files::read_secret;
use super::keys::{Faults, Keys};
use crate::notary::AuditConfig;

impl AuditConfig {
    /// Reads the table and the key's file.
    pub(super) fn read(mut keys: Keys, faults: &mut Faults) -> Self {
        keys.no_secret("signing_key", faults);
        let key_file = keys.path("signing_key_file", faults);
        let checkpoint_file = keys.path("checkpoint_file", faults);
        keys.finish(&["signing_key_file", "checkpoint_file"], faults);
        let signing_key = key_file.and_then(|file| signing_key("audit.signing_key_file", &file, faults));
        if signing_key.is_none() && checkpoint_file.is_some() && faults.0.is_empty() {
            faults.add(
                "audit.checkpoint_file",
                "is of no use without audit.signing_key_file: make a key with `gk-control-plane audit-key --out FILE`",
            );
        }
        Self { signing_key: signing_key.map(Arc::new), checkpoint_file }
    }
}

fn signing_key(name: &str, file: &Path, faults: &mut Faults) -> Option<SigningKey> {
    let text = read_secret(file).map_err(|error| faults.add_as(error.code(), name, error)).ok()?;
    let key = SigningKey::from_text(text.expose());
    key.map_err(|error| faults.add(name, format!("{}: {error}", file.display()))).ok()
}
