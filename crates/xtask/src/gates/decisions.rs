//! `docs/DECISIONS.md` says of each direct dependency what it is for, and names none that is not there.

use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `Cargo.toml` takes from elsewhere.
fn declared() -> BTreeSet<String> {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let all = manifest["workspace"]["dependencies"].as_table().unwrap();
    let from_elsewhere = all.iter().filter(|(_, value)| value.get("path").is_none());
    from_elsewhere.map(|(name, _)| name.clone()).collect()
}

/// What the first column of the table names; what stands in brackets is a remark.
fn explained() -> BTreeSet<String> {
    let page = read("docs/DECISIONS.md");
    let (_, table) = page.split_once("| Crate | For |").expect("the table of dependencies");
    let cells = table.lines().skip(2).map_while(|line| line.strip_prefix("| ")?.split(" |").next());
    let names = cells.flat_map(|cell| cell.split(", ")).map(|name| name.split(" (").next().unwrap_or(name));
    names.map(str::to_owned).collect()
}

#[test]
fn every_dependency_has_its_reason_and_no_other_is_named() {
    assert_eq!(explained(), declared());
}
