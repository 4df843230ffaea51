//! `docs/config.md` against the readers of `gk`'s files: its samples are read, and no setting is left out.

use std::collections::BTreeSet;
use std::path::Path;

use gk_testkit::docs::{documented, samples, undocumented_variables};
use serde::de::DeserializeOwned;

use super::{Defaults, SystemFile, UserFile};
use crate::context::{Context, Entry};

/// Each sample of `name`, read.
fn all<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let read = |sample: &gk_testkit::docs::Sample| {
        toml::from_str(&sample.text).unwrap_or_else(|error| panic!("{}: {error}", sample.place))
    };
    samples(name).iter().map(read).collect()
}

/// The settings that an unknown one is told.
fn known<T: DeserializeOwned>(prefix: &str) -> BTreeSet<String> {
    let error = toml::from_str::<T>("nonsense = 1").err().expect("nonsense is refused").to_string();
    let told = error.split_once("expected").expect("those that are known are named").1;
    told.split('`').skip(1).step_by(2).map(|key| format!("{prefix}{key}")).collect()
}

#[test]
fn every_sample_is_read_and_its_current_context_is_one() {
    for user in all::<UserFile>("config.toml") {
        let current = user.current.expect("the sample names one");
        let entry = user.contexts.get(&current).expect("and has it");
        Context::from_entry(&current, entry).expect("and its address is good");
    }
    assert!(all::<SystemFile>("gk.toml").iter().all(|file| file.address.is_some()));
    assert!(all::<Defaults>(".gatekeeper.toml").iter().all(|file| file.ttl.is_some()));
}

#[test]
fn the_page_has_a_row_for_each_setting_and_no_other() {
    let mut keys = known::<UserFile>("");
    keys.extend(known::<SystemFile>(""));
    keys.extend(known::<Defaults>("defaults."));
    keys.extend(known::<Entry>("contexts.NAME."));
    assert!(keys.remove("defaults") && keys.remove("contexts"), "both are tables");
    assert_eq!(keys, documented("gk"));
}

#[test]
fn the_page_names_every_variable_that_is_read() {
    assert_eq!(undocumented_variables(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")), BTreeSet::new());
}
