//! The environment, read once when the program starts and passed on as a value, so that a test can choose it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The environment variables and the working directory of this run.
#[derive(Debug, Clone, Default)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
    directory: PathBuf,
}

/// An environment variable that holds something else than text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the environment variable {0} is not valid text (UTF-8)")]
pub struct NotText(pub String);

impl Env {
    /// The environment of this process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read, once")]
    pub fn from_process() -> Self {
        Self { vars: std::env::vars_os().collect(), directory: std::env::current_dir().unwrap_or_default() }
    }

    /// An environment made of these variables, for tests.
    #[must_use]
    pub fn of<const N: usize>(vars: [(&str, &str); N], directory: &Path) -> Self {
        let vars = vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { vars, directory: directory.to_owned() }
    }

    /// A variable as it is; one that is empty counts as not set.
    #[must_use]
    pub fn os(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A variable as text.
    ///
    /// # Errors
    /// It is set and not valid UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, NotText> {
        self.os(name).map(|value| value.to_str().ok_or_else(|| NotText(name.to_owned()))).transpose()
    }

    /// A variable that holds a path.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.os(name).map(|value| self.absolute(Path::new(value)))
    }

    /// Whether a switch such as `GK_NO_INPUT=1` is on; `0`, `false` and nothing are off.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.os(name).is_some_and(|value| value != "0" && value != "false")
    }

    /// Where the command was started; empty if that directory is gone.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// `path`, seen from the working directory.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// Where `command` is found, as the shell would look for it.
    #[must_use]
    pub fn which(&self, command: &str) -> Option<PathBuf> {
        let path = self.os("PATH")?;
        std::env::split_paths(path).map(|directory| directory.join(command)).find(|found| found.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set_and_a_zero_as_off() {
        let env = Env::of([("A", ""), ("B", "0"), ("C", "1")], Path::new("/work"));
        assert_eq!(env.text("A"), Ok(None));
        assert!(!env.is_on("A") && !env.is_on("B") && env.is_on("C") && !env.is_on("D"));
        assert_eq!(env.absolute(Path::new("x/y")), Path::new("/work/x/y"));
    }
}
