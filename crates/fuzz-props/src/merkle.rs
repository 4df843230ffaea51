//! Proofs over the tree: a right one holds, and none of another history does.

use std::collections::HashMap;

use gk_shared::audit::Hash;
use gk_shared::audit::tree::{
    Frontier, NodeId, consistency_nodes, consistency_proof, frontier_nodes, inclusion_nodes, inclusion_proof,
    is_consistent, is_included,
};

use crate::shape::Dice;
use crate::signed::leaf;

/// Trees up to this size are built in full.
const MOST: usize = 70;

pub(crate) fn check(bytes: &[u8]) {
    let mut dice = Dice(bytes);
    let (size, fork) = (1 + dice.below(MOST), dice.byte());
    let tree = Grown::to(size, None);
    let from = dice.below(size + 1);
    let (wide_from, wide) = (from as u64, size as u64);
    let proof = consistency_proof(wide_from, wide, |id| tree.nodes.get(&id).copied()).expect("all nodes are there");
    assert!(is_consistent((wide_from, tree.roots[from]), (wide, tree.roots[size]), &proof));
    let at = dice.below(size);
    let path = inclusion_proof(at as u64, wide, |id| tree.nodes.get(&id).copied()).expect("all nodes are there");
    assert!(is_included(at as u64, leaf(at_byte(at)), (wide, tree.roots[size]), &path));
    // The same tree with one leaf exchanged has other roots from there on, and no proof leads over.
    let other = Grown::to(size, Some((at, fork)));
    if at < from {
        let forked = (wide_from, other.roots[from]);
        assert!(!is_consistent(forked, (wide, tree.roots[size]), &proof), "{size} {from} {at}");
    }
    assert!(!is_included(at as u64, foreign(fork), (wide, tree.roots[size]), &path));
    let mut bent = proof.clone();
    if dice.byte().is_multiple_of(2) || bent.is_empty() {
        bent.push(leaf(fork));
    } else {
        let place = dice.below(bent.len());
        bent[place].0[dice.below(32)] ^= dice.byte() | 1;
    }
    assert!(!is_consistent((wide_from, tree.roots[from]), (wide, tree.roots[size]), &bent), "{size} {from}");
    anything(&mut dice);
}

/// Sizes and hashes of nobody: no panic, and no proof of what is not so.
fn anything(dice: &mut Dice<'_>) {
    let (from, to) = (dice.wide(), dice.wide());
    let proof: Vec<Hash> = (0..dice.byte() % 70).map(|_| leaf(dice.byte())).collect();
    let (old, new) = (leaf(1), leaf(2));
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
    fn to(size: usize, exchanged: Option<(usize, u8)>) -> Self {
        let (mut tree, mut grown) = (Frontier::default(), Self { roots: Vec::new(), nodes: HashMap::new() });
        grown.roots.push(tree.root());
        for at in 0..size {
            let hash = match exchanged {
                Some((place, by)) if place == at => foreign(by),
                Some(_) | None => leaf(at_byte(at)),
            };
            grown.nodes.insert(NodeId { level: 0, index: at as u64 }, hash);
            tree.push(hash, |(id, hash)| assert_eq!(grown.nodes.insert(id, hash), None, "a node is made once"));
            grown.roots.push(tree.root());
        }
        let read = Frontier::read(size as u64, |id| grown.nodes.get(&id).copied());
        assert_eq!(read, Some(tree));
        grown
    }
}

fn at_byte(at: usize) -> u8 {
    u8::try_from(at).expect("trees are small")
}

fn foreign(by: u8) -> Hash {
    gk_shared::audit::leaf_hash(&format!("foreign {by}"))
}
