//! Where files lie: settings in the configuration directory, tokens, keys and heads in the state directory.

use std::path::{Path, PathBuf};

use crate::env::Env;

/// The directories of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    config: PathBuf,
    state: PathBuf,
    system: PathBuf,
}

/// No directory can be named.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("HOME is not set, so there is no place for settings")]
pub struct PathsError;

impl Paths {
    /// `GK_CONFIG_DIR` and `GK_STATE_DIR`, else what the XDG rules (or the system's own) say.
    ///
    /// # Errors
    /// Neither they nor `HOME` are set.
    pub fn of(env: &Env) -> Result<Self, PathsError> {
        let system = env.path("GK_SYSTEM_CONFIG").unwrap_or_else(|| PathBuf::from("/etc/gatekeeper/gk.toml"));
        let given = |own: &str, xdg: &str, below_home: &str| {
            let xdg = || env.path(xdg).map(|base| base.join("gatekeeper"));
            let home = || env.path("HOME").map(|home| home.join(below_home).join("gatekeeper"));
            env.path(own).or_else(xdg).or_else(|| of_the_system(env, own)).or_else(home).ok_or(PathsError)
        };
        Ok(Self {
            config: given("GK_CONFIG_DIR", "XDG_CONFIG_HOME", ".config")?,
            state: given("GK_STATE_DIR", "XDG_STATE_HOME", ".local/state")?,
            system,
        })
    }

    /// The user's settings and contexts.
    #[must_use]
    pub fn user_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The machine's settings.
    #[must_use]
    pub fn system_file(&self) -> &Path {
        &self.system
    }

    /// Where the configuration lies.
    #[must_use]
    pub fn config_dir(&self) -> &Path {
        &self.config
    }

    /// Where tokens, kept keys and seen heads lie.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The token of a context, where it is kept in a file.
    #[must_use]
    pub fn token_file(&self, context: &str) -> PathBuf {
        self.state.join("tokens").join(format!("{context}.token"))
    }
}

/// Outside Linux the system has its own places; they are asked for only when they are those of this very environment.
fn of_the_system(env: &Env, own: &str) -> Option<PathBuf> {
    if cfg!(target_os = "linux") || env.os("HOME").is_none() {
        return None;
    }
    let places = directories::ProjectDirs::from("", "", "gatekeeper")?;
    Some(match own {
        "GK_STATE_DIR" => places.data_local_dir().to_owned(),
        _ => places.config_dir().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_variables_stand_over_xdg_and_that_over_home() {
        let at = Path::new("/w");
        let paths = |env: Env| Paths::of(&env).map(|paths| (paths.user_file(), paths.token_file("dev")));
        let home = paths(Env::of([("HOME", "/h")], at)).expect("has a home");
        if cfg!(target_os = "linux") {
            assert_eq!(home.0, Path::new("/h/.config/gatekeeper/config.toml"));
            assert_eq!(home.1, Path::new("/h/.local/state/gatekeeper/tokens/dev.token"));
        }
        let own = Env::of([("HOME", "/h"), ("GK_CONFIG_DIR", "/c"), ("GK_STATE_DIR", "s")], at);
        assert_eq!(paths(own), Ok(("/c/config.toml".into(), "/w/s/tokens/dev.token".into())));
        assert_eq!(paths(Env::of([], at)), Err(PathsError));
    }
}
