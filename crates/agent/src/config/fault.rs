//! What is wrong with a configuration: all of it, each fault with its place.

use std::fmt;

use gk_shared::problem::ErrorCode;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The code that it is known by.
    pub code: ErrorCode,
    /// Where: `agent.toml:12: target.password_file`, or the name of a variable.
    pub place: String,
    /// What, and what to do about it.
    pub text: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} [{}]", self.place, self.text, self.code.as_str())
    }
}

/// All that is wrong; never empty when it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<ConfigFault>);

impl Faults {
    /// Adds a fault.
    pub(super) fn add(&mut self, code: ErrorCode, place: impl Into<String>, text: impl Into<String>) {
        self.0.push(ConfigFault { code, place: place.into(), text: text.into() });
    }

    /// The code of the first one.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.first().map_or(ErrorCode::ConfigInvalid, |fault| fault.code)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            write!(out, "{}{fault}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
