//! The tree against published values and against the definition, word for word.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn leaf(bytes: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(bytes).finalize().into())
}

/// `MTH` of RFC 6962, as it is defined.
fn naive(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(usize::try_from(split(more.len() as u64)).unwrap());
            node_hash(naive(left), naive(right))
        }
    }
}

fn naive_consistency(from: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if known { vec![] } else { vec![naive(leaves)] };
    }
    let middle = usize::try_from(split(leaves.len() as u64)).unwrap();
    let (left, right) = leaves.split_at(middle);
    let (mut proof, last) = if from <= middle {
        (naive_consistency(from, left, known), naive(right))
    } else {
        (naive_consistency(from - middle, right, false), naive(left))
    };
    proof.push(last);
    proof
}

fn naive_inclusion(at: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let middle = usize::try_from(split(leaves.len() as u64)).unwrap();
    let (left, right) = leaves.split_at(middle);
    let (mut proof, last) = if at < middle {
        (naive_inclusion(at, left), naive(right))
    } else {
        (naive_inclusion(at - middle, right), naive(left))
    };
    proof.push(last);
    proof
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
}

fn grown(leaves: &[Hash]) -> (Frontier, HashMap<NodeId, Hash>) {
    let (mut frontier, mut nodes) = (Frontier::default(), HashMap::new());
    for (index, leaf) in (0..).zip(leaves) {
        nodes.insert(NodeId { level: 0, index }, *leaf);
        frontier.push(*leaf, |(id, hash)| assert_eq!(nodes.insert(id, hash), None));
    }
    (frontier, nodes)
}

/// The leaves and roots that the implementations of certificate transparency test themselves with.
#[test]
fn roots_are_those_of_the_published_test_leaves() {
    let inputs: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (input, root) in inputs.into_iter().zip(roots) {
        frontier.push(leaf(input), |_| {});
        assert_eq!(frontier.root().to_string(), root, "{}", frontier.size());
    }
}

#[test]
fn every_pair_of_sizes_up_to_40_has_the_defined_proof_and_it_holds_for_that_pair_alone() {
    let leaves = leaves(40);
    let (_, nodes) = grown(&leaves);
    let lookup = |id: NodeId| nodes.get(&id).copied();
    for to in 0..=leaves.len() {
        for from in 0..=to {
            let proof = consistency_proof(from as u64, to as u64, lookup).expect("all nodes are there");
            let (old, new) = ((from as u64, naive(&leaves[..from])), (to as u64, naive(&leaves[..to])));
            if 0 < from {
                assert_eq!(proof, naive_consistency(from, &leaves[..to], true));
            }
            assert!(is_consistent(old, new, &proof), "{from} {to}");
            let other = (from as u64, leaf(b"other"));
            assert!(!is_consistent(other, new, &proof), "{from} {to}");
            assert!(from == 0 || !is_consistent(old, (to as u64, leaf(b"other")), &proof), "{from} {to}");
            let longer: Vec<Hash> = proof.iter().copied().chain([leaf(b"more")]).collect();
            assert!(!is_consistent(old, new, &longer), "{from} {to}");
        }
        for at in 0..to {
            let proof = inclusion_proof(at as u64, to as u64, lookup).expect("all nodes are there");
            assert_eq!(proof, naive_inclusion(at, &leaves[..to]));
            let root = (to as u64, naive(&leaves[..to]));
            assert!(is_included(at as u64, leaves[at], root, &proof));
            assert!(!is_included(at as u64, leaf(b"other"), root, &proof));
        }
    }
    assert_eq!(consistency_proof(41, 40, lookup), None);
    assert_eq!(consistency_proof(3, 41, lookup), None, "a node is missing");
    assert_eq!(inclusion_proof(40, 40, lookup), None);
}

proptest! {
    #[test]
    fn a_frontier_grows_as_the_definition_says_and_reads_back_from_its_nodes(size in 0_usize..600) {
        let leaves = leaves(size);
        let (frontier, nodes) = grown(&leaves);
        prop_assert_eq!(frontier.root(), naive(&leaves));
        let read = Frontier::read(size as u64, |id| nodes.get(&id).copied());
        prop_assert_eq!(read, Some(frontier));
    }

    #[test]
    fn a_log_that_differs_anywhere_in_its_past_has_no_proof(
        to in 2_usize..200, from in 1_usize..200, at in 0_usize..200, bit in 0_usize..256
    ) {
        let (from, at) = (from % to + 1, at % (from % to + 1));
        let mut leaves = leaves(to);
        let old = (from as u64, naive(&leaves[..from]));
        leaves[at].0[bit / 8] ^= 1 << (bit % 8);
        let (frontier, nodes) = grown(&leaves);
        let proof = consistency_proof(from as u64, to as u64, |id| nodes.get(&id).copied()).expect("is whole");
        prop_assert!(!is_consistent(old, (to as u64, frontier.root()), &proof));
    }

    #[test]
    fn nonsense_for_a_proof_is_refused_without_a_panic(
        from in any::<u64>(), to in any::<u64>(), proof in proptest::collection::vec(any::<[u8; 32]>(), 0..70)
    ) {
        let proof: Vec<Hash> = proof.into_iter().map(Hash).collect();
        let (old, new) = (leaf(b"old"), leaf(b"new"));
        prop_assert!(!is_consistent((from, old), (to, new), &proof));
        prop_assert!(!is_included(from, old, (to, new), &proof));
    }
}
