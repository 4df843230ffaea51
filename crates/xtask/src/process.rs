//! Running other programs.

use crate::step::{Failure, Outcome};
use std::path::Path;
use std::process::{Command, Stdio};

/// A program to be run in `dir`.
///
/// What Cargo told this program about itself is taken out of the environment: some build scripts look at it, and would
/// rebuild their crate each time a build runs inside `cargo xtask` after one that does not.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(dir).stdin(Stdio::null());
    #[expect(clippy::disallowed_methods, reason = "what children inherit is this function's whole business")]
    let inherited = std::env::vars_os();
    for (name, _) in inherited {
        let about_us = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if name.to_str().is_some_and(|name| about_us.iter().any(|head| name.starts_with(head))) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program with its output shown, and fails as it does.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| not_run(command, &error))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{}` ended with {status}", shown(command)))) }
}

/// Runs a program quietly and gives what it wrote to stdout.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| not_run(command, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::new(format!("`{}` ended with {}: {said}", shown(command), output.status)));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Failure::new(format!("`{}` wrote something that is not text", shown(command))))
}

/// Whether a program runs and succeeds; it is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn not_run(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}` could not be run: {error}", shown(command)))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = program("sh", Path::new("/"));
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_fails_is_named_with_how_it_ended() {
        let failure = output(&mut sh("echo 'no luck' >&2; exit 3")).unwrap_err().to_string();
        assert!(failure.contains("exit status: 3") && failure.contains("no luck"), "{failure}");
        let failure = run(&mut program("/no/such/program", Path::new("/"))).unwrap_err().to_string();
        assert!(failure.contains("`/no/such/program` could not be run"), "{failure}");
    }

    #[test]
    fn children_do_not_hear_what_cargo_said_about_us() {
        // Cargo sets this one for every test it runs.
        assert_eq!(output(&mut sh("echo \"[$CARGO_PKG_NAME]\"")).unwrap(), "[]\n");
    }
}
