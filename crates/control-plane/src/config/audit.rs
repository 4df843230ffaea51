//! The `[audit]` table: the key that signs the log, where checkpoints are kept outside the ledger, and who gets copies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gk_shared::audit::note::SigningKey;

use super::files::read_secret;
use super::keys::{Faults, Keys};
use super::plane::Environment;
use crate::notary::AuditConfig;

impl AuditConfig {
    /// Reads the table and the key's file.
    pub(super) fn read(mut keys: Keys, environment: Environment<'_>, faults: &mut Faults) -> Self {
        keys.no_secret("signing_key", faults);
        let key_file = keys.path("signing_key_file", faults);
        let key_file = environment("GK_AUDIT_KEY_FILE").map(PathBuf::from).or(key_file);
        let checkpoint_file = keys.path("checkpoint_file", faults);
        let sinks = super::sinks::read(keys.tables("sinks", faults), faults);
        super::sinks::check_files(checkpoint_file.as_deref(), &sinks, faults);
        keys.finish(&["signing_key_file", "checkpoint_file", "sinks"], faults);
        let signing_key = key_file.and_then(|file| signing_key("audit.signing_key_file", &file, faults));
        Self { signing_key: signing_key.map(Arc::new), checkpoint_file, sinks }
    }
}

fn signing_key(name: &str, file: &Path, faults: &mut Faults) -> Option<SigningKey> {
    let text = read_secret(file).map_err(|error| faults.add_as(error.code(), name, error)).ok()?;
    let key = SigningKey::from_text(text.expose());
    key.map_err(|error| faults.add(name, format!("{}: {error}", file.display()))).ok()
}
