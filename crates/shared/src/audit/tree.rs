//! The Merkle tree over the log's leaves (RFC 6962): roots, and proofs that a log grew or that it holds an event.
//!
//! `node = SHA-256(0x01 || left || right)`, the root of nothing is `SHA-256("")`. A [`Frontier`] grows by one leaf in
//! O(log n). Only whole subtrees have a [`NodeId`] and are ever kept: they never change again. Pure: proofs are made
//! from a look-up of such nodes, which the caller prefetches for [`consistency_nodes`] or [`inclusion_nodes`].

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::Hash;

/// A whole subtree: `2^level` leaves from leaf `index * 2^level` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    /// Height above the leaves, which are at 0.
    pub level: u8,
    /// Place among the subtrees of that height, from 0.
    pub index: u64,
}

/// A node of the tree with its hash.
pub type Node = (NodeId, Hash);

/// Hash of an inner node.
#[must_use]
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Root of the tree without leaves.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest(b"").into())
}

/// The right edge of a tree: all that is needed to add leaves to it and to know its root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of the whole subtrees, the largest first: one for each bit set in `size`.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of this size, from the hashes of its [`frontier_nodes`]; `None` if one is missing.
    pub fn read(size: u64, mut lookup: impl FnMut(NodeId) -> Option<Hash>) -> Option<Self> {
        let subtrees = frontier_nodes(size).into_iter().map(&mut lookup).collect::<Option<_>>()?;
        Some(Self { size, subtrees })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; `made` is given each inner node that this completes.
    pub fn push(&mut self, leaf: Hash, mut made: impl FnMut(Node)) {
        let (mut hash, mut index) = (leaf, self.size);
        for level in 1..=u8::try_from(self.size.trailing_ones()).expect("a u64 has 64 bits") {
            let left = self.subtrees.pop().expect("each bit set has a subtree");
            hash = node_hash(left, hash);
            index >>= 1;
            made((NodeId { level, index }, hash));
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// Root of the whole.
    #[must_use]
    pub fn root(&self) -> Hash {
        let right_to_left = self.subtrees.iter().copied().rev();
        right_to_left.reduce(|right, left| node_hash(left, right)).unwrap_or_else(empty_root)
    }
}

/// The whole subtrees that a tree of this size is made of, the largest first.
#[must_use]
pub fn frontier_nodes(size: u64) -> Vec<NodeId> {
    whole_subtrees(&(0..size))
}

/// The whole subtrees over a range of leaves that begins where one of its size may begin.
fn whole_subtrees(range: &Range<u64>) -> Vec<NodeId> {
    let (mut nodes, mut from) = (Vec::new(), range.start);
    while from < range.end {
        let level = (range.end - from).ilog2();
        nodes.push(NodeId { level: u8::try_from(level).expect("a u64 has 64 bits"), index: from >> level });
        from += 1 << level;
    }
    nodes
}

/// The nodes that [`consistency_proof`] looks up.
#[must_use]
pub fn consistency_nodes(from: u64, to: u64) -> Vec<NodeId> {
    consistency_ranges(from, to).iter().flat_map(whole_subtrees).collect()
}

/// The nodes that [`inclusion_proof`] looks up.
#[must_use]
pub fn inclusion_nodes(leaf: u64, size: u64) -> Vec<NodeId> {
    inclusion_ranges(leaf, size).iter().flat_map(whole_subtrees).collect()
}

/// Proof that the tree of `to` leaves begins with the tree of `from`; `None` if a node is missing or `from > to`.
pub fn consistency_proof(from: u64, to: u64, lookup: impl FnMut(NodeId) -> Option<Hash>) -> Option<Vec<Hash>> {
    (from <= to).then(|| hashes(&consistency_ranges(from, to), lookup))?
}

/// Proof that leaf number `leaf`, from 0, is in the tree of `size`; `None` if a node is missing or it is not there.
pub fn inclusion_proof(leaf: u64, size: u64, lookup: impl FnMut(NodeId) -> Option<Hash>) -> Option<Vec<Hash>> {
    (leaf < size).then(|| hashes(&inclusion_ranges(leaf, size), lookup))?
}

fn hashes(ranges: &[Range<u64>], mut lookup: impl FnMut(NodeId) -> Option<Hash>) -> Option<Vec<Hash>> {
    let mut hash = |range: &Range<u64>| {
        let subtrees = whole_subtrees(range).into_iter().map(&mut lookup).collect::<Option<Vec<_>>>()?;
        subtrees.into_iter().rev().reduce(|right, left| node_hash(left, right))
    };
    ranges.iter().map(&mut hash).collect()
}

/// The largest power of two below `size`, where a tree of at least two leaves divides.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// What the steps of a consistency proof cover, in their order (RFC 6962, 2.1.2).
fn consistency_ranges(from: u64, to: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    // Of nothing everything is a continuation, and of itself each tree: both need no proof.
    if from == 0 || from >= to {
        return ranges;
    }
    let (mut low, mut high, mut known) = (0, to, true);
    while from != high {
        let middle = low + split(high - low);
        if from <= middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            (low, known) = (middle, false);
        }
    }
    if !known {
        ranges.push(low..high);
    }
    ranges.reverse();
    ranges
}

/// What the steps of an inclusion proof cover, in their order (RFC 6962, 2.1.1).
fn inclusion_ranges(leaf: u64, size: u64) -> Vec<Range<u64>> {
    let (mut low, mut high, mut ranges) = (0, size, Vec::new());
    while leaf < size && high - low > 1 {
        let middle = low + split(high - low);
        if leaf < middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// Whether `proof` shows that the tree `(to, new)` begins with the tree `(from, old)` (RFC 9162, 2.1.4.2).
#[must_use]
pub fn is_consistent((from, old): (u64, Hash), (to, new): (u64, Hash), proof: &[Hash]) -> bool {
    if from == 0 || from == to {
        let root = if from == 0 { empty_root() } else { new };
        return old == root && (from < to || new == old) && proof.is_empty();
    }
    // A whole tree is a subtree of the larger one, so the proof leaves it out.
    let whole = from.is_power_of_two().then_some(old);
    let mut steps = whole.into_iter().chain(proof.iter().copied());
    let (Some(first), true) = (steps.next(), from < to) else { return false };
    let shift = (from - 1).trailing_ones();
    let (mut at, mut last) = ((from - 1) >> shift, (to - 1) >> shift);
    let (mut of_old, mut of_new) = (first, first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (of_old, of_new) = (node_hash(step, of_old), node_hash(step, of_new));
            climb_while_left(&mut at, &mut last);
        } else {
            of_new = node_hash(of_new, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && of_old == old && of_new == new
}

/// Whether `proof` shows that `hash` is leaf number `leaf` of the tree `(size, root)` (RFC 9162, 2.1.3.2).
#[must_use]
pub fn is_included(leaf: u64, hash: Hash, (size, root): (u64, Hash), proof: &[Hash]) -> bool {
    if leaf >= size {
        return false;
    }
    let (mut at, mut last, mut made) = (leaf, size - 1, hash);
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            made = node_hash(*step, made);
            climb_while_left(&mut at, &mut last);
        } else {
            made = node_hash(made, *step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && made == root
}

/// Leaves out the levels at which the right edge has no sibling.
fn climb_while_left(at: &mut u64, last: &mut u64) {
    while *at & 1 == 0 && *at != 0 {
        (*at, *last) = (*at >> 1, *last >> 1);
    }
}

#[cfg(test)]
mod tests;
