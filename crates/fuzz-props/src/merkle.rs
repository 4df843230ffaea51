//! Proofs over the tree: a right one holds, and none of another history does.

use std::collections::HashMap;
use std::sync::LazyLock;

use gk_shared::audit::Hash;
use gk_shared::audit::tree::{
    Frontier, NodeId, consistency_nodes, consistency_proof, frontier_nodes, inclusion_nodes, inclusion_proof,
    is_consistent, is_included,
};

use crate::shape::Dice;
use crate::signed::leaf;

/// Trees up to this size are tried.
const MOST: usize = 70;

/// The tree that all others are the beginning of, checked leaf by leaf as it grows. Made once.
static TREE: LazyLock<Grown> = LazyLock::new(Grown::whole);
/// Leaves of nobody's log.
static LEAVES: LazyLock<Vec<Hash>> = LazyLock::new(|| (0..=u8::MAX).map(leaf).collect());

/// Right proofs hold, and no other.
pub fn check(bytes: &[u8]) {
    let mut dice = Dice(bytes);
    let (size, fork) = (1 + dice.below(MOST), dice.byte());
    let from = dice.below(size + 1);
    let (wide_from, wide, root) = (from as u64, size as u64, TREE.roots[size]);
    let proof = consistency_proof(wide_from, wide, |id| TREE.node(size, id)).expect("all nodes are there");
    assert!(is_consistent((wide_from, TREE.roots[from]), (wide, root), &proof));
    let at = dice.below(size);
    let path = inclusion_proof(at as u64, wide, |id| TREE.node(size, id)).expect("all nodes are there");
    assert!(is_included(at as u64, LEAVES[at], (wide, root), &path));
    // The same tree with one leaf exchanged has other roots from there on, and no proof leads over.
    if at < from {
        let forked = (wide_from, forked(from, at, fork));
        assert!(!is_consistent(forked, (wide, root), &proof), "{size} {from} {at}");
    }
    assert!(!is_included(at as u64, foreign(fork), (wide, root), &path));
    let mut bent = proof;
    if dice.byte().is_multiple_of(2) || bent.is_empty() {
        bent.push(LEAVES[usize::from(fork)]);
    } else {
        let place = dice.below(bent.len());
        bent[place].0[dice.below(32)] ^= dice.byte() | 1;
    }
    assert!(!is_consistent((wide_from, TREE.roots[from]), (wide, root), &bent), "{size} {from}");
    anything(&mut dice);
}

/// Sizes and hashes of nobody: no panic, and no proof of what is not so.
fn anything(dice: &mut Dice<'_>) {
    let (from, to) = (dice.wide(), dice.wide());
    let proof: Vec<Hash> = (0..dice.byte() % 70).map(|_| LEAVES[usize::from(dice.byte())]).collect();
    let (old, new) = (LEAVES[1], LEAVES[2]);
    assert!(!is_consistent((from, old), (to, new), &proof) || from.is_power_of_two() && !proof.is_empty());
    assert!(!is_included(from, old, (to, new), &proof));
    for nodes in [frontier_nodes(to), consistency_nodes(from.min(to), to), inclusion_nodes(from % to.max(1), to)] {
        assert!(nodes.len() <= 64 * 64 && nodes.iter().all(|node| node.level < 64));
    }
}

/// A tree of one leaf after another, with all its roots and nodes.
struct Grown {
    roots: Vec<Hash>,
    nodes: HashMap<NodeId, Hash>,
}

impl Grown {
    fn whole() -> Self {
        let (mut tree, mut grown) = (Frontier::default(), Self { roots: Vec::new(), nodes: HashMap::new() });
        grown.roots.push(tree.root());
        for at in 0..MOST {
            grown.nodes.insert(NodeId { level: 0, index: at as u64 }, LEAVES[at]);
            tree.push(LEAVES[at], |(id, hash)| assert_eq!(grown.nodes.insert(id, hash), None, "a node is made once"));
            grown.roots.push(tree.root());
            assert_eq!(grown.frontier(at + 1), tree);
        }
        grown
    }

    /// A node as the tree had it at this size: subtrees that were not whole then were not there.
    fn node(&self, size: usize, id: NodeId) -> Option<Hash> {
        let end = (id.index + 1).checked_mul(1 << id.level)?;
        (end <= size as u64).then(|| self.nodes.get(&id).copied())?
    }

    fn frontier(&self, size: usize) -> Frontier {
        Frontier::read(size as u64, |id| self.node(size, id)).expect("all nodes are there")
    }
}

/// The root of the tree with one leaf exchanged.
fn forked(size: usize, exchanged: usize, by: u8) -> Hash {
    let mut tree = TREE.frontier(exchanged);
    tree.push(foreign(by), |_| {});
    LEAVES[exchanged + 1..size].iter().for_each(|leaf| tree.push(*leaf, |_| {}));
    tree.root()
}

fn foreign(by: u8) -> Hash {
    gk_shared::audit::leaf_hash(&format!("foreign {by}"))
}
