//! Typed ids: what kind of thing an id names is part of its type and of its text.
//!
//! An id is 128 bits (a UUID version 7, so ids sort by the time they were made) written as a prefix and 26
//! characters of Crockford base32: `sess_01ARZ3NDEKTSV4RRFFQ69G5FAV`. Always holds: one id has exactly one
//! text, and an id of one kind is never taken for another. Time and randomness come from the caller.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::names::RoleName;
use crate::names::text::{TextSchema, named, shown, text_impls};

/// Crockford's alphabet: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 26 characters of 5 bits hold 130 bits, so the first one stands for 3 bits only.
const DIGITS: usize = 26;

/// A kind of thing that has ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdKind {
    prefix: &'static str,
    noun: &'static str,
}

impl IdKind {
    /// What ids of this kind start with, without the underscore.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        self.prefix
    }

    /// What people call the thing.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        self.noun
    }

    /// "a session id" or "an agent id".
    fn with_article(self) -> String {
        let article = if self.noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {} id", self.noun)
    }
}

/// What is wrong with the 26 characters after the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdFault {
    /// It does not start with the prefix of any kind.
    #[error("the prefix is missing")]
    Prefix,
    /// Not 26 characters.
    #[error("{0} characters follow the prefix instead of 26")]
    Length(usize),
    /// A lower-case letter: ids are written in upper case.
    #[error("`{0}` is lower case, ids are upper case")]
    LowerCase(char),
    /// A character that no id has.
    #[error("{} is in no id (only 0-9 and A-Z without I, L, O, U)", named(*.0))]
    Character(char),
    /// More than 128 bits.
    #[error("the first of the 26 characters is above 7")]
    TooLarge,
}

/// Why a text is no id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// An id, but of something else.
    #[error("expected {} {}_..., got {}", .expected.with_article(), .expected.prefix, .got.with_article())]
    OtherKind {
        /// The wanted kind.
        expected: IdKind,
        /// The kind that the text's prefix names.
        got: IdKind,
    },
    /// Not an id at all.
    #[error("expected {} {}_..., got `{shown}`: {fault}", .expected.with_article(), .expected.prefix)]
    Malformed {
        /// The wanted kind.
        expected: IdKind,
        /// The value, shortened.
        shown: String,
        /// What is wrong with it.
        fault: IdFault,
    },
}

impl IdError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_id"
    }
}

/// The 26 characters of `uuid`.
pub(crate) fn encode(uuid: Uuid) -> String {
    let bits = uuid.as_u128();
    (0..DIGITS)
        .rev()
        .map(|place| char::from(ALPHABET[usize::try_from((bits >> (5 * place)) & 31).expect("31 fits")]))
        .collect()
}

/// The inverse of [`encode`]; takes no other spelling.
pub(crate) fn decode(digits: &str) -> Result<Uuid, IdFault> {
    let mut bits = 0_u128;
    for (place, digit) in digits.chars().take(DIGITS).enumerate() {
        let value = digit_value(digit)?;
        if place == 0 && value > 7 && digits.len() == DIGITS {
            return Err(IdFault::TooLarge);
        }
        bits = (bits << 5) | value;
    }
    match digits.chars().count() {
        DIGITS => Ok(Uuid::from_u128(bits)),
        length => Err(IdFault::Length(length)),
    }
}

fn digit_value(digit: char) -> Result<u128, IdFault> {
    if digit.is_ascii_lowercase() {
        return Err(IdFault::LowerCase(digit));
    }
    let place = ALPHABET.iter().position(|&known| char::from(known) == digit);
    place.and_then(|place| u128::try_from(place).ok()).ok_or(IdFault::Character(digit))
}

/// Reads an id of kind `expected`.
fn parse(text: &str, expected: IdKind) -> Result<Uuid, IdError> {
    let malformed = |fault| IdError::Malformed { expected, shown: shown(text), fault };
    let (prefix, digits) = text.split_once('_').ok_or_else(|| malformed(IdFault::Prefix))?;
    if prefix == expected.prefix {
        return decode(digits).map_err(malformed);
    }
    match KINDS.iter().find(|kind| kind.prefix == prefix) {
        Some(&got) => Err(IdError::OtherKind { expected, got }),
        None => Err(malformed(IdFault::Prefix)),
    }
}

/// Takes the line end off that a pipe leaves: one `\n` or `\r\n`.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// Declares every kind of id: type, prefix, noun.
macro_rules! typed_ids {
    ($($(#[$doc:meta])* $type:ident = $prefix:literal, $noun:literal;)+) => {
        /// Every kind of id there is.
        pub const KINDS: &[IdKind] = &[$($type::KIND),+];

        $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Uuid);

        impl $type {
            /// What this type's ids name.
            pub const KIND: IdKind = IdKind { prefix: $prefix, noun: $noun };

            /// The id with these 128 bits, for instance from a database row.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id's 128 bits.
            #[must_use]
            pub const fn uuid(&self) -> Uuid {
                self.0
            }

            /// A new id (UUID version 7) from the time and randomness given.
            #[must_use]
            pub const fn from_parts(unix_ms: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid())
            }

            /// Reads an id as a pipe delivers it: one line end after it is no fault.
            pub fn parse_line(text: &str) -> Result<Self, IdError> {
                without_line_end(text).parse()
            }
        }

        impl FromStr for $type {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text, Self::KIND).map(Self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&format!(concat!($prefix, "_{}"), encode(self.0)))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        text_impls!($type, IdError, TextSchema {
            pattern: concat!("^", $prefix, "_[0-7][0-9A-HJKMNP-TV-Z]{25}$"),
            min: $prefix.len() + 27,
            max: $prefix.len() + 27,
            description: concat!("The id of one ", $noun, "."),
            example: concat!($prefix, "_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        });
        )+
    };
}

typed_ids! {
    /// A session: one role on one target for one actor.
    SessionId = "sess", "session";
    /// A request, from the command line through to the audit log.
    RequestId = "req", "request";
    /// A job that an agent does.
    JobId = "job", "job";
    /// An agent.
    AgentId = "agt", "agent";
    /// A person or a service.
    ActorId = "act", "actor";
    /// A bearer token (never its text).
    TokenId = "tok", "token";
    /// A database that sessions are made on.
    TargetId = "tgt", "target";
    /// A tenant.
    TenantId = "ten", "tenant";
    /// An audit event.
    EventId = "evt", "event";
}

impl SessionId {
    /// The Postgres role of this session.
    #[must_use]
    pub fn role_name(&self) -> RoleName {
        RoleName::of(*self)
    }
}

#[cfg(test)]
mod tests;
