//! What the documentation says of settings, for the tests that hold it against the programs.
//!
//! Always holds: a sample is a block of a page that names its file in the first line, or a file in `infra-dev/`; a
//! setting is documented by a row of a table, with the setting's full name in the first cell.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Pages that show settings files.
const PAGES: [&str; 2] = ["docs/config.md", "docs/own-database.md"];
/// What the variables begin with that are ours or that we look at.
const VARIABLES: [&str; 10] =
    ["GK_", "PG", "XDG_", "AGENT_", "LOG_LEVEL", "CONTROL_PLANE_", "SESSION_", "NO_COLOR", "CLICOLOR", "DATABASE_URL"];

/// A settings file as people are shown it.
#[derive(Debug)]
pub struct Sample {
    /// Where it stands.
    pub place: String,
    /// All of it.
    pub text: String,
}

/// Every sample of the settings file `name`; never none.
#[must_use]
pub fn samples(name: &str) -> Vec<Sample> {
    let mut found: Vec<Sample> = PAGES.iter().flat_map(|page| blocks(page, name)).collect();
    let deployed = format!("infra-dev/{name}");
    if root().join(&deployed).exists() {
        found.push(Sample { text: read(&deployed), place: deployed });
    }
    assert!(!found.is_empty(), "no page shows a {name}");
    found
}

fn blocks(page: &str, name: &str) -> Vec<Sample> {
    let text = read(page);
    let inside = text.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let named = |text: &str| {
        let first = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
        first.split_whitespace().next() == Some(name)
    };
    let blocks = inside.map(|(text, _)| text).filter(|text| named(text));
    blocks.map(|text| Sample { place: page.to_owned(), text: text.to_owned() }).collect()
}

/// The settings that `docs/config.md` has a row for below the heading `## section`.
#[must_use]
pub fn documented(section: &str) -> BTreeSet<String> {
    let page = read(PAGES[0]);
    let (_, below) = page.split_once(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section {section}"));
    let section = below.split("\n## ").next().unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    cells.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with(|first: char| first.is_lowercase())).collect()
}

/// The variables that the sources below `directory` name and `docs/config.md` does not.
#[must_use]
pub fn undocumented_variables(directory: &Path) -> BTreeSet<String> {
    let page = read(PAGES[0]);
    let mut files = Vec::new();
    sources(directory, &mut files);
    let text = files.iter().map(|file| fs::read_to_string(file).expect("a source is text"));
    let named: BTreeSet<String> = text.flat_map(|text| variables(&text)).collect();
    assert!(named.len() >= 5, "only {} variables were found: the search is blind", named.len());
    named.into_iter().filter(|name| !page.contains(&format!("`{name}`"))).collect()
}

/// The metrics that `docs/runbook.md` alerts on, without what Prometheus puts behind their names.
#[must_use]
pub fn alerting_metrics() -> BTreeSet<String> {
    let page = read("docs/runbook.md");
    let (_, alerts) = page.split_once("\n## What to alert on\n").expect("the runbook says what to alert on");
    let words = alerts.split(|found: char| !(found.is_ascii_alphanumeric() || found == '_'));
    let ends = ["_total", "_bucket", "_sum", "_count"];
    let bare = |name: &str| ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned();
    let found: BTreeSet<String> = words.filter(|word| word.starts_with("gk_")).map(bare).collect();
    assert!(found.len() >= 8, "only {found:?} were found: the search is blind");
    found
}

fn variables(source: &str) -> Vec<String> {
    let word =
        |text: &&str| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let ours = |text: &&str| VARIABLES.iter().any(|start| text.starts_with(start));
    source.split('"').filter(word).filter(ours).map(str::to_owned).collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
