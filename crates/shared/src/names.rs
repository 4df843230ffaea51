//! Names that people choose (targets, role packs, actors, groups, agents) and names that we make (minted roles).
//!
//! Always holds: a value of one of these types has passed its rule, so it needs no quoting, escaping or
//! length check anywhere later: not in a connection string, a log line, a file name or SQL.

pub(crate) mod text;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::ids::{self, SessionId};
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
    /// Checks length last but one, so that an odd character is named even in a long value.
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

/// The release of a role pack or of the helpers, such as `pg-1.0.0`. Ordered by number, not by letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackVersion {
    engine: String,
    numbers: [u16; 3],
}

impl PackVersion {
    /// The database engine it is for: `pg`.
    #[must_use]
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Major, minor and patch number.
    #[must_use]
    pub const fn numbers(&self) -> [u16; 3] {
        self.numbers
    }
}

impl FromStr for PackVersion {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_version(text).ok_or_else(|| NameError::Shape {
            what: "pack version",
            shown: shown(text),
            example: "pg-1.0.0",
        })
    }
}

fn parse_version(text: &str) -> Option<PackVersion> {
    let (engine, numbers) = text.split_once('-')?;
    let fits = (1..=16).contains(&engine.len()) && engine.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut parts = numbers.split('.').map(version_number);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    (fits && parts.next().is_none()).then(|| PackVersion { engine: engine.to_owned(), numbers })
}

/// One number of a version; only its shortest spelling counts, so that a version has one text.
fn version_number(text: &str) -> Option<u16> {
    let number = text.parse::<u16>().ok()?;
    (number.to_string() == text).then_some(number)
}

impl fmt::Display for PackVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(out, "{}-{major}.{minor}.{patch}", self.engine)
    }
}

impl fmt::Debug for PackVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

text_impls!(
    PackVersion,
    NameError,
    TextSchema {
        pattern: "^[a-z]{1,16}-(0|[1-9][0-9]{0,4})\\.(0|[1-9][0-9]{0,4})\\.(0|[1-9][0-9]{0,4})$",
        min: 7,
        max: 34,
        description: "The release of a role pack.",
        example: "pg-1.0.0",
    }
);
