//! Names that people choose (targets, role packs, actors, groups, agents) and names that we make (minted roles).
//!
//! Always holds: a value of one of these types has passed its rule, so it needs no quoting, escaping or
//! length check anywhere later: not in a connection string, a log line, a file name or SQL.

mod minted;
pub(crate) mod text;
mod version;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub use minted::RoleName;
pub use version::PackVersion;

use text::{TextSchema, named, shown, text_impls};

/// Why a text is no name of the wanted sort.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a {what} needs at least one character: use {allowed}")]
    Empty {
        /// The sort of name that was wanted.
        what: &'static str,
        /// The characters it may have.
        allowed: &'static str,
    },
    /// More characters than the name may have.
    #[error("{what} `{shown}` has {length} characters: at most {max} are allowed")]
    TooLong {
        /// The sort of name that was wanted.
        what: &'static str,
        /// The value, shortened.
        shown: String,
        /// How many characters it has.
        length: usize,
        /// How many it may have.
        max: usize,
    },
    /// A character that the name may not have.
    #[error("{what} `{shown}` has {}: use only {allowed}", named(*.found))]
    Character {
        /// The sort of name that was wanted.
        what: &'static str,
        /// The value, shortened.
        shown: String,
        /// The first character that is not allowed.
        found: char,
        /// The characters it may have.
        allowed: &'static str,
    },
    /// The first character may stand in the name, but not at its start.
    #[error("{what} `{shown}` must start with {start}")]
    Start {
        /// The sort of name that was wanted.
        what: &'static str,
        /// The value, shortened.
        shown: String,
        /// What it may start with.
        start: &'static str,
    },
    /// The characters are right, their arrangement is not.
    #[error("{what} `{shown}` is not written like `{example}`")]
    Shape {
        /// The sort of name that was wanted.
        what: &'static str,
        /// The value, shortened.
        shown: String,
        /// A right one.
        example: &'static str,
    },
}

impl NameError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_name"
    }
}

/// What one sort of name allows.
struct Rule {
    what: &'static str,
    allowed: &'static str,
    start: &'static str,
    max: usize,
    may_start: fn(char) -> bool,
    may_have: fn(char) -> bool,
}

impl Rule {
    /// Checks the length first: what is far too long is not worth a look at its characters.
    fn check(&self, text: &str) -> Result<(), NameError> {
        let (what, allowed, max) = (self.what, self.allowed, self.max);
        let first = text.chars().next().ok_or(NameError::Empty { what, allowed })?;
        let length = text.chars().count();
        if length > max {
            return Err(NameError::TooLong { what, shown: shown(text), length, max });
        }
        if let Some(found) = text.chars().find(|&found| !(self.may_have)(found)) {
            return Err(NameError::Character { what, shown: shown(text), found, allowed });
        }
        if !(self.may_start)(first) {
            return Err(NameError::Start { what, shown: shown(text), start: self.start });
        }
        Ok(())
    }
}

const fn is_plain(found: char) -> bool {
    found.is_ascii_alphanumeric() || matches!(found, '-' | '_')
}

const fn is_alphanumeric(found: char) -> bool {
    found.is_ascii_alphanumeric()
}

const fn is_lower(found: char) -> bool {
    found.is_ascii_lowercase()
}

const fn is_lower_or_underscore(found: char) -> bool {
    found.is_ascii_lowercase() || found == '_'
}

const fn is_sql_word(found: char) -> bool {
    found.is_ascii_lowercase() || found.is_ascii_digit() || found == '_'
}

/// The rule of names that people choose freely.
const fn plain(what: &'static str) -> Rule {
    Rule {
        what,
        allowed: "ASCII letters, digits, - and _",
        start: "a letter or a digit",
        max: 63,
        may_start: is_alphanumeric,
        may_have: is_plain,
    }
}

const PACK: Rule = Rule {
    what: "role",
    allowed: "lower-case ASCII letters, digits and _",
    start: "a lower-case letter",
    max: 31,
    may_start: is_lower,
    may_have: is_sql_word,
};

const IDENT: Rule = Rule {
    what: "SQL name",
    allowed: "lower-case ASCII letters, digits and _",
    start: "a lower-case letter or _",
    max: 63,
    may_start: is_lower_or_underscore,
    may_have: is_sql_word,
};

/// Declares a name: a string that has passed its rule.
macro_rules! names {
    ($($(#[$doc:meta])* $type:ident: $rule:expr, $pattern:literal, $max:literal, $example:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                const RULE: Rule = $rule;
                RULE.check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        text_impls!($type, NameError, TextSchema {
            pattern: $pattern,
            min: 1,
            max: $max,
            description: concat!("For example `", $example, "`."),
            example: $example,
        });
    )+};
}

names! {
    /// A database that sessions can be asked for, such as `pg-local`.
    TargetName: plain("target name"), "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", 63, "pg-local";
    /// A registered set of rights on targets, such as `app_read`; what the user gives as `--role`.
    PackName: PACK, "^[a-z][a-z0-9_]{0,30}$", 31, "app_read";
    /// A person or a service that asks for sessions.
    ActorName: plain("actor name"), "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", 63, "ada";
    /// A group of actors that policy speaks of.
    GroupName: plain("group name"), "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", 63, "dba";
    /// An agent beside one or more targets.
    AgentName: plain("agent name"), "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", 63, "eu-west-1";
    /// A name of an SQL object that needs no quotes and is never cut by Postgres.
    PgIdent: IDENT, "^[a-z_][a-z0-9_]{0,62}$", 63, "app";
}

#[cfg(test)]
mod tests;
