//! The key by which a caller says "this is the same request as before".
//!
//! Always holds: a key is 8 to 128 characters of `A-Za-z0-9_-`, so it fits a header, a column and a log line.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::names::text::{TextSchema, named, text_impls};

/// An `Idempotency-Key`. Chosen by the caller; the same key with the same body gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The fewest characters a key has: below this, two callers' keys meet by chance.
    pub const MIN: usize = 8;
    /// The most characters a key has.
    pub const MAX: usize = 128;

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdempotencyKeyError {
    /// Too short or too long.
    #[error("an idempotency key has 8 to 128 characters, this one has {0}")]
    Length(usize),
    /// A character that no key has.
    #[error("an idempotency key has only A-Z, a-z, 0-9, _ and -, this one has {}", named(*.0))]
    Character(char),
}

impl IdempotencyKeyError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_idempotency_key"
    }
}

impl FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        if !(Self::MIN..=Self::MAX).contains(&length) {
            return Err(IdempotencyKeyError::Length(length));
        }
        match text.chars().find(|&found| !(found.is_ascii_alphanumeric() || matches!(found, '-' | '_'))) {
            Some(found) => Err(IdempotencyKeyError::Character(found)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl AsRef<str> for IdempotencyKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

text_impls!(
    IdempotencyKey,
    IdempotencyKeyError,
    TextSchema {
        pattern: "^[A-Za-z0-9_-]{8,128}$",
        min: 8,
        max: 128,
        description: "Names a request, so that sending it again does not do it again.",
        example: "deploy-2026-11-22",
    }
);
