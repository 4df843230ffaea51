//! How a command fails: a stable code, one line, the fix.

use std::io::Write as _;
use std::process::ExitCode;

use gk_control_plane::PlaneError;
use gk_control_plane::config::ConfigError;
use gk_control_plane::http::problem::chain;
use gk_shared::problem::ErrorCode;

/// Why a command ended.
#[derive(Debug)]
pub(crate) struct Failure {
    code: ErrorCode,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ConfigInvalid, message)
    }

    pub(crate) fn system(what: &str, error: &std::io::Error) -> Self {
        Self::new(ErrorCode::Internal, format!("{what}: {error}"))
    }

    /// Prints the failure and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let message = self.message.replace('\n', " ");
        // Nobody is left to tell if stderr is gone, too.
        let _ = writeln!(std::io::stderr(), "error[{}]: {message}; next: {}", self.code.as_str(), self.code.next());
        ExitCode::from(self.code.exit().number())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<PlaneError> for Failure {
    fn from(error: PlaneError) -> Self {
        Self::new(error.code(), chain(&error))
    }
}
