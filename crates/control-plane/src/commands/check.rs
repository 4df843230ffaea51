//! `config check`: the settings were read already; what is left is to say so, and what deserves a second look.

use std::io::Write as _;

use gk_control_plane::config::PlaneConfig;

use super::say;
use crate::failure::Failure;

/// `config check`
pub(crate) fn check(config: &PlaneConfig) -> Result<(), Failure> {
    for finding in config.findings() {
        // A finding that cannot be shown is no reason to fail.
        let _ = writeln!(std::io::stderr(), "finding: {finding}");
    }
    say(&format!(
        "ok: listens on {} ({}), ledger {}, {} rules, sessions of at most {}",
        config.listen,
        if config.tls.is_some() { "TLS" } else { "plain HTTP" },
        config.ledger.shown(),
        config.policy.len(),
        config.policy.ceiling()
    ))
}
