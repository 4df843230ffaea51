//! One-time keys that are kept: for a session that came too late, or because `--reuse` asked for it.
//!
//! A key lies in a file of mode 0600 in the state directory and opens one session. It is worth nothing without the
//! caller's token, and nothing once the session has ended.

use std::path::PathBuf;

use gk_shared::ids::SessionId;
use gk_shared::names::{PackName, TargetName};
use gk_shared::secret::SecretText;
use gk_shared::wire::session::SessionView;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::{Address, OneTimeKey};
use crate::config::{Paths, write_private};
use crate::error::CliError;

/// The keys of one user.
pub(crate) struct KeptKeys {
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptKey {
    server: String,
    session: SessionId,
    target: TargetName,
    role: PackName,
    seed: SecretText,
}

impl KeptKeys {
    /// Those in the state directory.
    pub(crate) fn new(paths: &Paths) -> Self {
        Self { directory: paths.state_dir().join("keys") }
    }

    fn path(&self, session: SessionId) -> PathBuf {
        self.directory.join(format!("{session}.json"))
    }

    /// Keeps the key of a session.
    pub(crate) fn keep(&self, server: &Address, view: &SessionView, key: &OneTimeKey) -> Result<(), CliError> {
        let kept = KeptKey {
            server: server.to_string(),
            session: view.session_id,
            target: view.target.clone(),
            role: view.role.clone(),
            seed: key.seed_text().as_str().into(),
        };
        let text = Zeroizing::new(serde_json::to_string(&kept).expect("texts under text keys"));
        Ok(write_private(&self.path(view.session_id), text.as_bytes())?)
    }

    /// The key of a session, if it was kept.
    pub(crate) fn find(&self, session: SessionId) -> Option<OneTimeKey> {
        self.read(&self.path(session)).and_then(|kept| OneTimeKey::from_seed_text(kept.seed.expose()))
    }

    /// Sessions on this server for this target and role whose keys were kept, newest first.
    pub(crate) fn sessions(&self, server: &Address, target: &TargetName, role: &PackName) -> Vec<SessionId> {
        let files = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let fits = |kept: &KeptKey| kept.server == server.to_string() && kept.target == *target && kept.role == *role;
        let mut found: Vec<SessionId> =
            files.filter_map(|file| self.read(&file.path())).filter(fits).map(|kept| kept.session).collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        found
    }

    /// Forgets the key of a session.
    pub(crate) fn forget(&self, session: SessionId) {
        // That there is none is what is wanted.
        let _ = std::fs::remove_file(self.path(session));
    }

    fn read(&self, path: &std::path::Path) -> Option<KeptKey> {
        let text = Zeroizing::new(std::fs::read(path).ok()?);
        serde_json::from_slice(&text).ok()
    }
}
