//! Witness of the audit log: keeps the newest signed checkpoint, and takes only one that continues it.
//!
//! Whoever owns the ledger can rewrite it and the control plane with it, but not what this agent saw before. Always
//! holds: a checkpoint is on disk before anybody hears of it, and it is only replaced by one that was proven to continue
//! it. What does not is kept beside it as evidence, and the old one goes on being reported.

mod shelf;

use std::path::Path;
use std::time::{Duration, Instant};

use gk_shared::audit::witness::{Advance, advance};
use gk_shared::audit::{AuditFinding, Checkpoint, SealedHead, Trust};
use gk_shared::wire::audit;

use crate::api::{ApiError, PlaneClient};
use crate::metrics::Metrics;
use shelf::Shelf;

/// Checkpoints are made once a minute.
const EVERY: Duration = Duration::from_secs(30);

/// What an agent saw of the log.
#[derive(Debug)]
pub(crate) struct Witness {
    /// Without one it forgets with the process.
    shelf: Option<Shelf>,
    held: Option<SealedHead>,
    looked: Option<Instant>,
}

impl Witness {
    /// A witness that goes on from what lies in this directory.
    pub(crate) fn open(state_dir: Option<&Path>) -> Self {
        let shelf = state_dir.map(Shelf::at);
        let held = shelf.as_ref().and_then(Shelf::read);
        Self { shelf, held, looked: None }
    }

    /// The newest checkpoint that is believed.
    pub(crate) fn held(&self) -> Option<SealedHead> {
        self.held.clone()
    }

    /// Asks for the newest checkpoint, unless it was asked for a moment ago.
    pub(crate) async fn look(&mut self, api: &PlaneClient, metrics: &Metrics, now: Instant) {
        if self.looked.is_some_and(|at| now.saturating_duration_since(at) < EVERY) {
            return;
        }
        let answer = match api.checkpoint(self.size()).await {
            Ok(answer) => answer,
            Err(error) => return not_answered(&error),
        };
        self.looked = Some(now);
        if let Err(finding) = self.take(&answer) {
            metrics.audit_contradicted(finding.kind());
            let held = self.size();
            tracing::error!(kind = finding.kind(), held, said = answer.size, %finding, "the audit log was tampered with");
        }
    }

    /// Size of the log that is held.
    fn size(&self) -> i64 {
        let held = self.held.as_ref().and_then(|held| held.checkpoint.parse().ok());
        held.and_then(|note| Checkpoint::of_note(&note).ok()).map_or(0, |held| held.head.size)
    }

    /// Takes an answer in, or keeps it as evidence.
    fn take(&mut self, answer: &audit::Checkpoint) -> Result<(), AuditFinding> {
        let trust = Trust::default();
        let Some(new) = answer.sealed() else {
            return match &self.held {
                Some(held) => Err(AuditFinding::Downgraded { seq: trust.open(held)?.checkpoint.head.size }),
                // A control plane without a key: there is nothing to witness.
                None => Ok(()),
            };
        };
        let proof = answer.proof();
        match advance(&trust, self.held.as_ref(), &new, proof.as_deref()) {
            Ok(Advance::Keep(_)) => self.keep(new),
            Ok(Advance::Same(_)) => {}
            Err(finding) => {
                if let Some(Err(error)) = self.shelf.as_ref().map(|shelf| shelf.put_evidence(&new)) {
                    tracing::warn!(%error, "the evidence cannot be kept");
                }
                return Err(finding);
            }
        }
        Ok(())
    }

    fn keep(&mut self, new: SealedHead) {
        match self.shelf.as_ref().map_or(Ok(()), |shelf| shelf.keep(&new)) {
            Ok(()) => self.held = Some(new),
            Err(error) => tracing::warn!(%error, "the audit checkpoint cannot be kept; the one before stays in force"),
        }
    }
}

fn not_answered(error: &ApiError) {
    tracing::debug!(%error, "no audit checkpoint to witness");
}

#[cfg(test)]
mod tests;
