//! `docs/config.md` and the samples: each is read by the very code that reads settings, and no setting is left out.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gk_control_plane::config::{ConfigError, Fault, PlaneConfig};
use gk_control_plane::policy::Policy;
use gk_testkit::docs::{Sample, alerting_metrics, documented, samples, undocumented_variables};
use tempfile::TempDir;

const HOME: &str = "/etc/gatekeeper/";

/// A directory that stands for `/etc/gatekeeper`, with a ledger's address and a policy in it.
fn home(policy: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    file("secrets/ledger-url", "postgresql://gk:secret@127.0.0.1/ledger\n", 0o600);
    file("policy.toml", policy, 0o644);
    home
}

fn read(sample: &Sample, home: &Path) -> Result<PlaneConfig, ConfigError> {
    PlaneConfig::parse(&sample.text.replace(HOME, &format!("{}/", home.display())), &|_| None)
}

#[test]
fn every_sample_of_settings_and_policy_is_read_and_nothing_in_it_deserves_a_second_look() {
    let settings = samples("control-plane.toml");
    for policy in samples("policy.toml") {
        let home = home(&policy.text);
        for sample in &settings {
            let config = read(sample, home.path()).unwrap_or_else(|error| panic!("{}: {error}", sample.place));
            assert!(!config.policy.is_empty(), "{} allows nothing", policy.place);
            assert_eq!(config.findings(), Vec::<String>::new(), "{} with {}", sample.place, policy.place);
        }
    }
}

#[test]
fn the_full_sample_names_every_setting_with_its_default() {
    let home = home(&samples("policy.toml").remove(0).text);
    let sample = samples("control-plane.toml").remove(0);
    let config = read(&sample, home.path()).unwrap();
    let defaults = PlaneConfig::new(config.ledger.clone(), Policy::deny_all(PlaneConfig::default_max_ttl()));
    assert_eq!(config.limits, defaults.limits);
    assert_eq!(config.log, defaults.log);
    assert_eq!((config.listen, config.provision_deadline), (defaults.listen, defaults.provision_deadline));
    assert_eq!(config.policy.ceiling(), defaults.policy.ceiling());
    for name in documented("Control plane") {
        let key = name.rsplit('.').next().unwrap();
        assert!(sample.text.contains(&format!("{key} = ")), "the sample does not show {name}");
    }
}

/// The keys that unknown ones are told, with the table before each.
fn known(faults: &[Fault]) -> BTreeSet<String> {
    let one = |fault: &Fault| {
        let table = fault.key.strip_suffix("nonsense")?.replace("[1]", "");
        let keys = fault.message.split_once("known here: ")?.1.trim_end_matches(')').to_owned();
        Some(keys.split(", ").map(|key| format!("{table}{key}")).collect::<Vec<_>>())
    };
    faults.iter().filter_map(one).flatten().collect()
}

#[test]
fn the_page_has_a_row_for_each_setting_and_no_other() {
    let tables = ["tls", "ledger", "session", "limits", "log", "audit", "audit.sinks"];
    let text = tables.map(|table| match table {
        "audit.sinks" => format!("[[{table}]]\nnonsense = 1\n"),
        _ => format!("[{table}]\nnonsense = 1\n"),
    });
    let text = text.concat();
    let Err(ConfigError::Faults(faults)) = PlaneConfig::parse(&format!("nonsense = 1\n{text}"), &|_| None) else {
        panic!("nonsense is refused")
    };
    let mut keys = known(&faults);
    tables.iter().for_each(|table| assert!(keys.remove(*table), "[{table}] is a table"));
    assert_eq!(keys, documented("Control plane"));
    let faults = Policy::parse("[[rule]]\nnonsense = 1\n", PlaneConfig::default_max_ttl()).unwrap_err();
    assert_eq!(known(&faults), documented("Policy"));
}

#[test]
fn the_page_names_every_variable_that_is_read() {
    assert_eq!(undocumented_variables(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")), BTreeSet::new());
    let asked = RefCell::new(BTreeSet::new());
    let note = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    let _ = PlaneConfig::parse("", &note);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md")).unwrap();
    let asked = asked.into_inner();
    assert!(asked.len() >= 5, "{asked:?}");
    assert!(asked.iter().all(|name| page.contains(&format!("| `{name}` |"))), "{asked:?}");
}

#[test]
fn the_runbook_alerts_on_metrics_that_there_are() {
    let source = include_str!("../src/http/metrics.rs");
    for name in alerting_metrics().iter().filter(|name| !name.starts_with("gk_agent_")) {
        let registered = format!("register(\"{}\"", name.trim_start_matches("gk_"));
        assert!(source.contains(&registered), "there is no {name}");
    }
}
