//! The bill of materials: every crate that is linked into the programs, in CycloneDX's JSON form.
//!
//! Nothing in it comes from a clock or from chance, so that the same source gives the same file.

use crate::process::output;
use crate::step::{Failure, Outcome};
use crate::workspace::Workspace;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bill {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    components: Vec<Component>,
}

#[derive(Debug, Serialize)]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    version: String,
    purl: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    licenses: Option<[Licence; 1]>,
}

#[derive(Debug, Serialize)]
struct Licence {
    expression: String,
}

/// One crate as Cargo tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Linked {
    name: String,
    version: String,
    licence: Option<String>,
}

/// Asks Cargo what is linked on this system, and writes it to `path`.
pub(super) fn write(workspace: &Workspace, path: &Path) -> Outcome {
    let mut tree = workspace.cargo(["tree", "--locked", "--edges=normal", "--prefix=none", "--format={p}|{l}"]);
    let listed = output(tree.args(["-p", "gk-cli", "-p", "gk-agent", "-p", "gk-control-plane"]))?;
    let linked: BTreeSet<Linked> = listed.lines().filter_map(linked).collect();
    eprintln!("   {} crates", linked.len());
    let bill = Bill {
        bom_format: "CycloneDX",
        spec_version: "1.5",
        version: 1,
        components: linked.into_iter().map(component).collect(),
    };
    let json = serde_json::to_string_pretty(&bill).expect("names and versions are plain data");
    std::fs::write(path, json + "\n").map_err(|error| Failure::new(format!("writing {}: {error}", path.display())))
}

/// `name v1.2.3 (notes)|licence`, as `cargo tree` prints a crate; `(*)` marks one that it has shown before.
fn linked(line: &str) -> Option<Linked> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split_whitespace();
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.to_owned();
    let licence = licence.trim_end_matches("(*)").trim();
    Some(Linked { name, version, licence: (!licence.is_empty()).then(|| licence.to_owned()) })
}

fn component(linked: Linked) -> Component {
    let Linked { name, version, licence } = linked;
    Component {
        kind: "library",
        purl: format!("pkg:cargo/{name}@{version}"),
        // Older crates write "MIT/Apache-2.0" for what SPDX writes with OR.
        licenses: licence.map(|licence| [Licence { expression: licence.replace('/', " OR ") }]),
        name,
        version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_is_a_crate_once_however_often_it_is_shown() {
        let told = ["serde v1.0.2|MIT OR Apache-2.0", "serde v1.0.2|MIT OR Apache-2.0 (*)", "", "[build-dependencies]"];
        let crates: BTreeSet<Linked> = told.into_iter().filter_map(linked).collect();
        assert_eq!(crates.len(), 1, "{crates:?}");
        let json = serde_json::to_value(component(crates.into_iter().next().unwrap())).unwrap();
        assert_eq!(json["purl"], "pkg:cargo/serde@1.0.2");
        assert_eq!(json["licenses"][0]["expression"], "MIT OR Apache-2.0");
    }
}
