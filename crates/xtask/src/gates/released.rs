//! SQL that somebody may have run never changes: a mend is a new file.
//!
//! `sql/RELEASED.sha256` lists what was released, in the format of `sha256sum`, so `sha256sum --check` reads it too.
//! Ledger migrations that are not on it yet may still change, but their numbers follow the released ones without a gap.

use crate::step::{Failure, Outcome};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The list, from the workspace's root.
pub(crate) const LIST: &str = "sql/RELEASED.sha256";
/// The directories whose files get released.
const RELEASED_DIRS: [&str; 3] = ["sql/helpers", "sql/ledger", "sql/rolepacks"];

/// Refuses a released file that was changed or removed, and a ledger migration out of order.
pub(crate) fn check(root: &Path) -> Outcome {
    let now = digests(root)?;
    let mut wrong: Vec<String> =
        released(root)?.into_iter().filter_map(|(path, digest)| changed(&path, &digest, &now)).collect();
    wrong.extend(out_of_order(now.keys()));
    if wrong.is_empty() { Ok(()) } else { Err(Failure::new(wrong.join("\n"))) }
}

/// The text of the list with every file that lies there now.
pub(crate) fn list_of_all(root: &Path) -> Outcome<String> {
    Ok(digests(root)?.into_iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect())
}

/// The SHA-256 of these bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn changed(path: &str, digest: &str, now: &BTreeMap<String, String>) -> Option<String> {
    match now.get(path) {
        Some(same) if same == digest => None,
        Some(_) => Some(format!("{path} was released and must not change: put the change into a new file")),
        None => Some(format!("{path} was released and must not go: databases exist that were made by it")),
    }
}

fn released(root: &Path) -> Outcome<Vec<(String, String)>> {
    let path = root.join(LIST);
    let text =
        fs::read_to_string(&path).map_err(|error| Failure::new(format!("reading {}: {error}", path.display())))?;
    let line = |line: &str| line.split_once("  ").map(|(digest, path)| (path.to_owned(), digest.to_owned()));
    text.lines()
        .map(|text| line(text).ok_or_else(|| Failure::new(format!("{LIST}: `{text}` is no line of sha256sum"))))
        .collect()
}

fn digests(root: &Path) -> Outcome<BTreeMap<String, String>> {
    let mut files = Vec::new();
    for dir in RELEASED_DIRS {
        collect(&root.join(dir), &mut files).map_err(|error| Failure::new(format!("reading {dir}: {error}")))?;
    }
    let digest = |path: PathBuf| {
        let bytes = fs::read(&path).map_err(|error| Failure::new(format!("reading {}: {error}", path.display())))?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        Ok((name, sha256(&bytes)))
    };
    files.into_iter().map(digest).collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "sql" || extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

/// What is wrong with the numbers of the ledger's migrations, `V0001__tenants.sql` and so on.
fn out_of_order<'a>(paths: impl Iterator<Item = &'a String>) -> Option<String> {
    let names = paths.filter_map(|path| path.strip_prefix("sql/ledger/"));
    for (wanted, name) in (1_u32..).zip(names) {
        let number = name
            .strip_prefix('V')
            .and_then(|tail| tail.split_once("__"))
            .and_then(|(number, _)| number.parse::<u32>().ok());
        if number != Some(wanted) {
            return Some(format!("sql/ledger/{name}: the next migration is V{wanted:04}__<what it does>.sql"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace with one released and one new migration.
    fn workspace() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sql/ledger")).unwrap();
        fs::write(dir.path().join("sql/ledger/V0001__tenants.sql"), "CREATE TABLE tenants ();").unwrap();
        fs::write(dir.path().join(LIST), list_of_all(dir.path()).unwrap()).unwrap();
        fs::write(dir.path().join("sql/ledger/V0002__actors.sql"), "CREATE TABLE actors ();").unwrap();
        dir
    }

    fn refusal(dir: &tempfile::TempDir) -> String {
        check(dir.path()).unwrap_err().to_string()
    }

    #[test]
    fn a_new_file_may_change_and_a_released_one_may_not() {
        let dir = workspace();
        fs::write(dir.path().join("sql/ledger/V0002__actors.sql"), "CREATE TABLE actors (id uuid);").unwrap();
        check(dir.path()).unwrap();
        fs::write(dir.path().join("sql/ledger/V0001__tenants.sql"), "CREATE TABLE tenants (id uuid);").unwrap();
        assert!(refusal(&dir).contains("V0001__tenants.sql was released and must not change"));
    }

    #[test]
    fn a_released_file_may_not_go() {
        let dir = workspace();
        fs::rename(dir.path().join("sql/ledger/V0001__tenants.sql"), dir.path().join("sql/ledger/V0001__others.sql"))
            .unwrap();
        assert!(refusal(&dir).contains("V0001__tenants.sql was released and must not go"));
    }

    #[test]
    fn migrations_are_numbered_without_gap_or_double() {
        for name in ["V0002__again.sql", "V0004__gap.sql", "0003_no_v.sql"] {
            let dir = workspace();
            fs::write(dir.path().join("sql/ledger").join(name), "").unwrap();
            assert!(refusal(&dir).contains("the next migration is V000"), "{name}: {}", refusal(&dir));
        }
    }

    #[test]
    fn the_digest_is_the_one_of_sha256sum() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
