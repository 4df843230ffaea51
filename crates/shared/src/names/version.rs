//! Releases of role packs and helpers.

use std::fmt;
use std::str::FromStr;

use super::NameError;
use super::text::{TextSchema, shown, text_impls};

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
