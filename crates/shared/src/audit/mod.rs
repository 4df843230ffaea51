//! The audit log, without a database: its bytes, its chain, its tree, its signatures, and how to check them offline.
//!
//! * [`AuditEvent`]: what happened, as the canonical bytes that are hashed and never encoded again.
//! * [`leaf_hash`], [`link_hash`], [`AuditRecord`], [`Head`]: the chain (`chain.rs`).
//! * [`tree`]: the RFC 6962 tree over the same leaves, and proofs over it.
//! * [`note`]: signed notes, Ed25519 alone. [`Checkpoint`], [`LogOrigin`]: the text that is signed.
//! * [`epoch`]: the keys of a log; each is introduced by the one before ([`KeyChain`]).
//! * [`Trust`] opens a [`SealedHead`]; [`Verifier`] reads a whole log; [`witness::advance`] takes the next checkpoint.
//!
//! An export is one [`SealedHead`] as its first line (none if the control plane has no key), then one [`AuditRecord`] a
//! line. To check one:
//!
//! 1. `let mut trust = Trust::pin(key)` or `Trust::default()`;
//! 2. for every witness: `let seen = trust.open(&sealed)?; trust.learn(&seen); known.push(Anchor::from(&seen.checkpoint))`,
//!    the newest last (a plain [`Head`] is an [`Anchor`] too);
//! 3. `let own = trust.open_own(first_line.as_ref())?`; a finding of this step waits until the records are read: what is
//!    wrong in the records ([`Verifier::take`]) or with the anchors ([`Verifier::finish`]) names the place and comes first;
//! 4. `let mut check = Verifier::against(known, own.map(|own| Anchor::from(&own.checkpoint)))`, `check.take(&record)` for
//!    each, `check.finish()`; without any anchor from elsewhere the answer is "consistent but unanchored"
//!    ([`AuditFinding::NoAnchor`] where an anchor is required).
//!
//! [`AuditFinding::kind`] and [`AuditFinding::seq`] are what is printed. A witness (agent, `gk`) keeps one file holding
//! [`SealedHead::line`], and passes each answer of `GET /v1/audit/checkpoints?from=SIZE` to [`witness::advance`].

mod chain;
mod checkpoint;
pub mod epoch;
mod event;
pub mod note;
pub mod tree;
mod verify;
pub mod witness;

pub use chain::{AuditRecord, Hash, Head, leaf_hash, link_hash};
pub use checkpoint::{Checkpoint, CheckpointError, LogOrigin, SealedHead};
pub use epoch::KeyChain;
pub use event::{AuditAction, AuditEvent, Outcome};
pub use verify::{Anchor, AuditFinding, Opened, Trust, Verifier};

#[cfg(test)]
mod fixture;
