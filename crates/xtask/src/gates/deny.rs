//! `deny.toml`, as far as we read it ourselves. cargo-deny reads the same file, so there is one list.

use crate::step::{Failure, Outcome};
use serde::Deserialize;
use std::path::Path;

/// What may be linked.
#[derive(Debug, Deserialize)]
pub(crate) struct Deny {
    pub(crate) graph: Graph,
    pub(crate) licenses: Licences,
    pub(crate) bans: Bans,
}

/// For which systems.
#[derive(Debug, Deserialize)]
pub(crate) struct Graph {
    pub(crate) targets: Vec<String>,
}

/// Under which licences.
#[derive(Debug, Deserialize)]
pub(crate) struct Licences {
    pub(crate) allow: Vec<String>,
}

/// What not, and what twice.
#[derive(Debug, Deserialize)]
pub(crate) struct Bans {
    pub(crate) deny: Vec<Entry>,
    pub(crate) skip: Vec<Entry>,
}

/// A crate, as `name` or `name@version`, and why it is on the list.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "crate")]
    pub(crate) spec: String,
    pub(crate) reason: String,
}

impl Deny {
    /// Reads the file of this workspace.
    pub(crate) fn read(root: &Path) -> Outcome<Self> {
        let path = root.join("deny.toml");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::new(format!("reading {}: {error}", path.display())))?;
        toml::from_str(&text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    }
}

impl Entry {
    /// Whether this entry means that version of that crate.
    pub(crate) fn means(&self, name: &str, version: &str) -> bool {
        match self.spec.split_once('@') {
            None => self.spec == name,
            Some((spec_name, spec_version)) => spec_name == name && spec_version == version,
        }
    }
}
