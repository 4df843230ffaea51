//! `docs/config.md` and the samples of `agent.toml`: each is read by the agent's own reader, and no setting is left out.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gk_agent::config::{AgentConfig, Environment, Faults, load};
use gk_shared::secret::BearerToken;
use gk_testkit::docs::{alerting_metrics, documented, samples, undocumented_variables};

/// Reads `text` as `agent.toml` of a directory that has the files named in it.
fn read(text: &str) -> Result<AgentConfig, Faults> {
    let home = tempfile::tempdir().unwrap();
    // Where systemd puts the credentials of a unit.
    let text = &text.replace("/run/credentials/gk-agent.service/", "");
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    for name in text.split('"') {
        match name.rsplit_once('.') {
            Some((_, "token")) => file(name, BearerToken::generate([7; 32]).expose()),
            Some((_, "password")) => file(name, "a password\n"),
            Some((_, "pem")) => file(name, include_str!("agent/tls/certificate.pem")),
            _ => {}
        }
    }
    file("agent.toml", text);
    load(Some(&home.path().join("agent.toml")), &Environment::default())
}

#[test]
fn every_sample_is_read_and_serves_a_target() {
    for sample in samples("agent.toml") {
        let config = read(&sample.text).unwrap_or_else(|error| panic!("{}: {error}", sample.place));
        assert!(!config.targets.is_empty(), "{}", sample.place);
    }
}

#[test]
fn the_page_has_a_row_for_each_setting_and_no_other_and_the_full_sample_shows_it() {
    let faults = read("nonsense = 1\n[[target]]\nnonsense = 1\n").unwrap_err();
    let mut keys = BTreeSet::new();
    for fault in &faults.0 {
        let Some((_, known)) = fault.text.split_once("there are: ") else { continue };
        let table = if fault.place.ends_with("target.nonsense") { "target." } else { "" };
        keys.extend(known.split(", ").map(|key| format!("{table}{key}")));
    }
    assert!(keys.remove("[[target]]"), "{faults}");
    assert_eq!(keys, documented("Agent"));
    let sample = samples("agent.toml").remove(0);
    for name in keys {
        let key = name.rsplit('.').next().unwrap();
        assert!(sample.text.contains(&format!("{key} = ")), "the sample does not show {name}");
    }
}

#[test]
fn the_page_names_every_variable_that_is_read() {
    assert_eq!(undocumented_variables(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")), BTreeSet::new());
}

#[test]
fn the_page_has_a_row_for_each_setting_of_a_target_and_no_other() {
    let source = include_str!("../../../sql/helpers/pg-1.0.0/10_registry.sql");
    let (_, rows) = source.split_once("INSERT INTO gk.setting (name, value, note) VALUES").unwrap();
    let rows = rows.lines().skip(1).map_while(|line| line.strip_prefix("  ('")?.split_once('\''));
    let settings: BTreeSet<String> = rows.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(settings, documented("Target"));
}

#[test]
fn the_runbook_alerts_on_metrics_that_there_are() {
    let source = include_str!("../src/metrics.rs");
    for name in alerting_metrics().iter().filter_map(|name| name.strip_prefix("gk_agent_")) {
        assert!(source.contains(&format!("register(\"{name}\"")), "there is no gk_agent_{name}");
    }
}
