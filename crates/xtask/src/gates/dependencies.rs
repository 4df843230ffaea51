//! Licences, banned crates and second versions of everything that gets linked, on every system we build for.

use crate::gates::deny::Deny;
use crate::gates::licence;
use crate::process::{output, run, succeeds};
use crate::step::{Failure, Outcome};
use crate::workspace::Workspace;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Holds the dependency graph against `deny.toml`.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let deny = Deny::read(&workspace.root)?;
    let packages = graph(workspace, &deny.graph.targets)?;
    let wrong: Vec<String> =
        [unlicensed(&packages, &deny), banned(&packages, &deny), doubled(&packages, &deny), stale(&packages, &deny)]
            .concat();
    if !wrong.is_empty() {
        return Err(Failure::new(format!("against deny.toml:\n  {}", wrong.join("\n  "))));
    }
    eprintln!("   {} crates, all allowed", packages.len());
    if succeeds(&mut workspace.cargo(["deny", "--version"])) {
        run(&mut workspace.cargo(["deny", "--locked", "check", "bans", "licenses", "sources"]))?;
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Clone, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    id: String,
    license: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
}

/// Every package that is built on at least one of the systems.
fn graph(workspace: &Workspace, targets: &[String]) -> Outcome<BTreeSet<Package>> {
    let mut all = BTreeSet::new();
    for target in targets {
        let text =
            output(workspace.cargo(["metadata", "--locked", "--format-version=1", "--filter-platform"]).arg(target))?;
        let metadata: Metadata =
            serde_json::from_str(&text).map_err(|error| Failure::new(format!("reading `cargo metadata`: {error}")))?;
        let built: BTreeSet<String> = metadata.resolve.nodes.into_iter().map(|node| node.id).collect();
        all.extend(metadata.packages.into_iter().filter(|package| built.contains(&package.id)));
    }
    Ok(all)
}

fn unlicensed(packages: &BTreeSet<Package>, deny: &Deny) -> Vec<String> {
    let refused = packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(|text| licence::allowed(text, &deny.licenses.allow)));
    refused
        .map(|package| {
            format!(
                "{} {}: the licence {} is not allowed",
                package.name,
                package.version,
                package.license.as_deref().unwrap_or("(none)")
            )
        })
        .collect()
}

fn banned(packages: &BTreeSet<Package>, deny: &Deny) -> Vec<String> {
    let hit = |package: &Package| {
        deny.bans
            .deny
            .iter()
            .find(|entry| entry.means(&package.name, &package.version))
            .map(|entry| format!("{} {} is banned: {}", package.name, package.version, entry.reason))
    };
    packages.iter().filter_map(hit).collect()
}

fn doubled(packages: &BTreeSet<Package>, deny: &Deny) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        if !deny.bans.skip.iter().any(|entry| entry.means(&package.name, &package.version)) {
            versions.entry(&package.name).or_default().push(&package.version);
        }
    }
    let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
    several
        .map(|(name, versions)| {
            format!(
                "{name} is linked in versions {}: `cargo tree --invert {name}@{}` shows by whom",
                versions.join(" and "),
                versions[0]
            )
        })
        .collect()
}

/// Entries of the skip list that nothing needs any more.
fn stale(packages: &BTreeSet<Package>, deny: &Deny) -> Vec<String> {
    let gone = deny
        .bans
        .skip
        .iter()
        .filter(|entry| !packages.iter().any(|package| entry.means(&package.name, &package.version)));
    gone.map(|entry| format!("{} is not linked any more: take it off the skip list", entry.spec)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(list: &[(&str, &str, Option<&str>)]) -> BTreeSet<Package> {
        let package = |(name, version, license): &(&str, &str, Option<&str>)| Package {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            id: format!("{name}@{version}"),
            license: license.map(str::to_owned),
        };
        list.iter().map(package).collect()
    }

    fn deny() -> Deny {
        toml::from_str(
            r#"
            [graph]
            targets = []
            [licenses]
            allow = ["MIT"]
            [bans]
            deny = [{ crate = "chrono", reason = "one time library" }]
            skip = [{ crate = "syn@1.0.9", reason = "old macros" }]
            "#,
        )
        .unwrap()
    }

    #[test]
    fn each_kind_of_trouble_is_named() {
        let all = packages(&[
            ("chrono", "0.4.1", Some("MIT")),
            ("closed", "1.0.0", None),
            ("copyleft", "1.0.0", Some("GPL-3.0")),
            ("rand", "0.8.0", Some("MIT")),
            ("rand", "0.9.0", Some("MIT")),
        ]);
        assert_eq!(unlicensed(&all, &deny()).len(), 2);
        assert_eq!(banned(&all, &deny()), ["chrono 0.4.1 is banned: one time library"]);
        assert!(doubled(&all, &deny())[0].starts_with("rand is linked in versions 0.8.0 and 0.9.0"));
        assert_eq!(stale(&all, &deny()), ["syn@1.0.9 is not linked any more: take it off the skip list"]);
    }

    #[test]
    fn a_second_version_on_the_skip_list_is_let_through() {
        let all = packages(&[("syn", "1.0.9", Some("MIT")), ("syn", "2.0.0", Some("MIT"))]);
        assert!(doubled(&all, &deny()).is_empty() && stale(&all, &deny()).is_empty());
    }
}
