//! What a witness does with a new checkpoint: take it in place of the one it holds, or raise the alarm.
//!
//! Pure: the caller fetches, and keeps what [`advance`] gives before it tells anybody of it.

use super::checkpoint::SealedHead;
use super::tree::is_consistent;
use super::verify::{AuditFinding, Opened, Trust};
use super::{Checkpoint, Hash};

/// What a witness does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance {
    /// Keep the new one in place of the old.
    Keep(Box<Opened>),
    /// It is the one that is held, or one that the log still continues: nothing to do.
    Same(Box<Opened>),
}

impl Advance {
    /// What is held then.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        match self {
            Self::Keep(opened) | Self::Same(opened) => opened,
        }
    }
}

/// Holds `new` against the checkpoint that is held, by the proof from the one's size to the other's. `trust` holds a
/// pinned key, if there is one.
///
/// # Errors
/// The log became smaller, forked, or is not signed by whom it was: keep `new` as evidence, and go on holding the old.
pub fn advance(
    trust: &Trust,
    held: Option<&SealedHead>,
    new: &SealedHead,
    proof: Option<&[Hash]>,
) -> Result<Advance, AuditFinding> {
    let Some(held) = held else { return Ok(Advance::Keep(Box::new(trust.open(new)?))) };
    let old = trust.open(held)?;
    let mut trust = trust.clone();
    trust.learn(&old);
    let opened = trust.open(new)?;
    let (from, to) = (&old.checkpoint, &opened.checkpoint);
    if to.head.size < from.head.size {
        return Err(AuditFinding::Cut { size: to.head.size, known: from.head.size });
    }
    if !continues(from, to, proof) || !opened.keys.extends(&old.keys) {
        return Err(AuditFinding::Forked { seq: from.head.size });
    }
    let same = from.head == to.head && old.keys == opened.keys;
    Ok(if same { Advance::Same(Box::new(opened)) } else { Advance::Keep(Box::new(opened)) })
}

fn continues(from: &Checkpoint, to: &Checkpoint, proof: Option<&[Hash]>) -> bool {
    let same_size = from.head.size == to.head.size;
    let chain = !same_size || from.head.hash == to.head.hash;
    let proof = if same_size { &[] } else { proof.unwrap_or_default() };
    chain && is_consistent((from.leaves(), from.root), (to.leaves(), to.root), proof)
}

#[cfg(test)]
mod tests;
