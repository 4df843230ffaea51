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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_8_to_128_plain_characters() {
        for key in ["12345678", "deploy-2026_11", &"k".repeat(128)] {
            assert_eq!(key.parse::<IdempotencyKey>().unwrap().as_str(), key);
        }
        for (key, length) in [("", 0), ("1", 1), ("1234567", 7), (&"k".repeat(129), 129), (&"k".repeat(60_000), 60_000)]
        {
            let error = key.parse::<IdempotencyKey>().unwrap_err();
            assert_eq!(error, IdempotencyKeyError::Length(length));
            assert_eq!(error.code(), "invalid_idempotency_key");
        }
        for (key, found) in [
            ("with spaces", ' '),
            ("emoji-\u{1f600}-key", '\u{1f600}'),
            ("12345678\n", '\n'),
            ("1234567\0", '\0'),
            ("a/b/c/d/e", '/'),
            ("\u{661}2345678", '\u{661}'),
        ] {
            assert_eq!(key.parse::<IdempotencyKey>(), Err(IdempotencyKeyError::Character(found)), "{key:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_a_key_may_have() {
        let message = |key: &str| key.parse::<IdempotencyKey>().unwrap_err().to_string();
        assert_eq!(message("1"), "an idempotency key has 8 to 128 characters, this one has 1");
        assert!(message("with spaces").ends_with("this one has a blank (U+0020)"), "{}", message("with spaces"));
        let error = serde_json::from_str::<IdempotencyKey>("\"short\"").unwrap_err();
        assert!(error.to_string().contains("8 to 128"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_kept_as_it_is(text in "\\PC*|[A-Za-z0-9_-]{6,131}") {
            if let Ok(key) = text.parse::<IdempotencyKey>() {
                prop_assert_eq!(key.as_str(), &text);
                prop_assert_eq!(serde_json::to_value(&key).unwrap(), text);
            }
        }
    }
}
