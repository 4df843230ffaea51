//! Whether a command can be run at all: asked before a session is made for it.

use std::ffi::OsStr;
use std::path::PathBuf;

use gk_shared::problem::ErrorCode;
use rustix::fs::Access;

use crate::env::Env;
use crate::error::CliError;

/// Refuses a command that is not there or may not be executed.
pub(crate) fn ready_to_run(env: &Env, name: &OsStr) -> Result<(), CliError> {
    let shown = name.to_string_lossy();
    let found: Option<PathBuf> = if shown.contains('/') {
        Some(env.absolute(name.as_ref())).filter(|path| path.exists())
    } else {
        name.to_str().and_then(|name| env.which(name))
    };
    let found = found.ok_or_else(|| not_found(&shown))?;
    if found.is_dir() || rustix::fs::access(&found, Access::EXEC_OK).is_err() {
        return Err(not_executable(&shown));
    }
    Ok(())
}

/// What it means that the command could not be started after all.
pub(super) fn spawn_error(name: &OsStr, error: &std::io::Error) -> CliError {
    let shown = name.to_string_lossy();
    match error.kind() {
        std::io::ErrorKind::NotFound => not_found(&shown),
        _ => not_executable(&shown).why(error.to_string()),
    }
}

fn not_found(name: &str) -> CliError {
    CliError::new(ErrorCode::CommandNotFound, format!("there is no command `{name}`"))
}

fn not_executable(name: &str) -> CliError {
    CliError::new(ErrorCode::CommandNotExecutable, format!("`{name}` may not be executed"))
}
