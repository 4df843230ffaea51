//! The kept inputs of every fuzz target, replayed, and the lists of targets held against each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gk_fuzz_props::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.expect("can be read").path()).collect()
}

#[test]
fn every_kept_input_of_every_target_holds_its_property() {
    let (mut inputs, mut bytes) = (0, 0);
    for (name, property) in TARGETS {
        let kept = files(&fuzz().join("corpus").join(name));
        assert!((1..=200).contains(&kept.len()), "{name} keeps {} inputs", kept.len());
        for path in kept {
            let input = std::fs::read(&path).expect("can be read");
            inputs += 1;
            bytes += input.len();
            let held = std::panic::catch_unwind(|| property(&input));
            assert!(held.is_ok(), "{name} does not hold for {}", path.display());
        }
    }
    assert!(inputs > 10 * TARGETS.len() && bytes < 400_000, "{inputs} inputs of {bytes} bytes");
}

#[test]
fn the_smallest_inputs_hold_every_property() {
    for (_, property) in TARGETS {
        property(&[]);
        (0..=u8::MAX).for_each(|byte| property(&[byte]));
    }
}

#[test]
fn every_property_has_its_fuzz_target_and_its_corpus() {
    let stems = |directory: &str| -> BTreeSet<String> {
        let stem = |path: &PathBuf| path.file_stem().expect("has a name").to_string_lossy().into_owned();
        files(&fuzz().join(directory)).iter().map(stem).collect()
    };
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems("fuzz_targets"), known);
    assert_eq!(stems("corpus"), known);
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("can be read");
    for name in known {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no {name}");
        let target = std::fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).expect("can be read");
        let (module, sort) = name.split_once('_').unwrap_or((&name, ""));
        assert!(
            target.contains(&format!("gk_fuzz_props::{module}::check")) && target.contains(sort),
            "{name}.rs fuzzes something else"
        );
    }
}
