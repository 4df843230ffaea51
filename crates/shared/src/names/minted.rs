//! The names of the roles that we make on targets.

use std::fmt;
use std::str::FromStr;

use super::NameError;
use super::text::{TextSchema, shown, text_impls};
use crate::ids::{self, SessionId};

/// The Postgres role that one session gets: `gk_` and the session's 26 characters in lower case.
///
/// The two name each other, so a role found on a target always leads back to its session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName {
    text: String,
    session: SessionId,
}

impl RoleName {
    /// What every role of ours starts with.
    pub const PREFIX: &str = "gk_";

    /// The role of `session`.
    #[must_use]
    pub fn of(session: SessionId) -> Self {
        let digits = ids::encode(session.uuid()).to_ascii_lowercase();
        Self { text: format!("{}{digits}", Self::PREFIX), session }
    }

    /// The session whose role this is.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for RoleName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad =
            || NameError::Shape { what: "role name", shown: shown(text), example: "gk_01arz3ndektsv4rrffq69g5fav" };
        let digits = text.strip_prefix(Self::PREFIX).ok_or_else(bad)?;
        if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(bad());
        }
        let uuid = ids::decode(&digits.to_ascii_uppercase()).map_err(|_| bad())?;
        Ok(Self::of(SessionId::from_uuid(uuid)))
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.text)
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.text)
    }
}

impl AsRef<str> for RoleName {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

text_impls!(
    RoleName,
    NameError,
    TextSchema {
        pattern: "^gk_[0-7][0-9a-hjkmnp-tv-z]{25}$",
        min: 29,
        max: 29,
        description: "The Postgres role minted for a session.",
        example: "gk_01arz3ndektsv4rrffq69g5fav",
    }
);
