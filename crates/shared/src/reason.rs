//! Why somebody wants a session: a sentence, and perhaps a ticket.
//!
//! Always holds: a reason is one printable line that says something, so it can stand in a log, a terminal and a
//! reviewer's list as it is. What a spreadsheet makes of a leading `=` is the exporter's care, not a rule here.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::names::text::{TextSchema, code_point, named, shown, text_impls};

/// Why a session is wanted, in the actor's words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(String);

impl Reason {
    /// The most characters (not bytes) a reason has.
    pub const MAX: usize = 1000;

    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReasonError {
    /// Empty, or blanks only.
    #[error("a reason is required: say in a few words what the session is for")]
    Required,
    /// Longer than anybody reads.
    #[error("the reason has {0} characters: at most 1000 characters are allowed")]
    TooLong(usize),
    /// A character that would steer a terminal or break a line.
    #[error("the reason has the control character {}: write it as one plain line", code_point(*.0))]
    Control(char),
}

impl ReasonError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Required => "reason_required",
            Self::TooLong(_) => "reason_too_long",
            Self::Control(_) => "invalid_text",
        }
    }
}

/// True for what moves a cursor, ends a line or turns the reading direction around.
fn steers(found: char) -> bool {
    found.is_control()
        || matches!(found, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 {
            return Err(ReasonError::Required);
        }
        if length > Self::MAX {
            return Err(ReasonError::TooLong(length));
        }
        match text.chars().find(|&found| steers(found)) {
            Some(found) => Err(ReasonError::Control(found)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl AsRef<str> for Reason {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

text_impls!(
    Reason,
    ReasonError,
    TextSchema {
        pattern: "",
        min: 1,
        max: 1000,
        description: "What the session is for; one line.",
        example: "debug the stuck invoice run",
    }
);

/// A ticket that goes with the reason, such as `OPS-123`. Only its spelling is checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketRef(String);

impl TicketRef {
    /// The most characters a ticket has.
    pub const MAX: usize = 64;

    /// The ticket as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TicketError {
    /// Empty or too long.
    #[error("a ticket has 1 to 64 characters, this one has {0}")]
    Length(usize),
    /// A character that no ticket has.
    #[error("ticket `{shown}` has {}: use only A-Z, a-z, 0-9 and . _ / # -", named(*.found))]
    Character {
        /// The value, shortened.
        shown: String,
        /// The first character that is not allowed.
        found: char,
    },
}

impl TicketError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_text"
    }
}

impl FromStr for TicketRef {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        if !(1..=Self::MAX).contains(&length) {
            return Err(TicketError::Length(length));
        }
        let allowed = |found: char| found.is_ascii_alphanumeric() || "._/#-".contains(found);
        match text.chars().find(|&found| !allowed(found)) {
            Some(found) => Err(TicketError::Character { shown: shown(text), found }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for TicketRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl AsRef<str> for TicketRef {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

text_impls!(
    TicketRef,
    TicketError,
    TextSchema {
        pattern: "^[A-Za-z0-9._/#-]{1,64}$",
        min: 1,
        max: 64,
        description: "The ticket the work belongs to.",
        example: "OPS-123",
    }
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reason_is_kept_without_the_blanks_around_it() {
        for (text, kept) in [
            ("debug", "debug"),
            ("  two words \n", "two words"),
            ("=HYPERLINK(\"http://x\")", "=HYPERLINK(\"http://x\")"),
            ("pr\u{fc}fen \u{1f600}", "pr\u{fc}fen \u{1f600}"),
        ] {
            assert_eq!(text.parse::<Reason>().unwrap().as_str(), kept);
        }
        assert!("\u{e4}".repeat(1000).parse::<Reason>().is_ok(), "characters count, not bytes");
    }

    #[test]
    fn a_reason_that_says_nothing_is_missing() {
        for text in ["", " ", "   ", "\n", "\t\u{a0}\u{2003}"] {
            let error = text.parse::<Reason>().unwrap_err();
            assert_eq!((&error, error.code()), (&ReasonError::Required, "reason_required"), "{text:?}");
        }
    }

    #[test]
    fn a_reason_nobody_would_read_is_too_long() {
        for length in [1001, 102_400] {
            let error = "x".repeat(length).parse::<Reason>().unwrap_err();
            assert_eq!((&error, error.code()), (&ReasonError::TooLong(length), "reason_too_long"));
            assert!(error.to_string().ends_with("at most 1000 characters are allowed"), "{error}");
        }
    }

    #[test]
    fn a_reason_cannot_steer_a_terminal_or_forge_a_line() {
        for found in ['\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2066}'] {
            let error = format!("a{found}b").parse::<Reason>().unwrap_err();
            assert_eq!((&error, error.code()), (&ReasonError::Control(found), "invalid_text"));
            assert!(error.to_string().contains(&code_point(found)), "{error}");
        }
    }

    #[test]
    fn a_ticket_is_1_to_64_plain_characters() {
        for text in ["OPS-123", "org/repo#17", "x", "a.b_c", &"t".repeat(64)] {
            assert_eq!(text.parse::<TicketRef>().unwrap().as_str(), text);
        }
        for text in ["", &"t".repeat(65), "OPS 123", "OPS-123\n", "a\0", "\u{440}", "a;b", "a'b", "a?b"] {
            let error = text.parse::<TicketRef>().unwrap_err();
            assert_eq!(error.code(), "invalid_text");
            assert!(error.to_string().len() < 200, "{error}");
        }
    }

    #[test]
    fn json_reasons_pass_the_same_rule() {
        assert_eq!(serde_json::from_str::<Reason>("\" debug \"").unwrap().as_str(), "debug");
        for (json, wanted) in [("\"\"", "is required"), ("\"a\\u0000b\"", "U+0000"), ("1", "expected a string")] {
            let message = serde_json::from_str::<Reason>(json).unwrap_err().to_string();
            assert!(message.contains(wanted), "{json}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_reason_is_refused_or_one_trimmed_line(text in any::<String>()) {
            if let Ok(reason) = text.parse::<Reason>() {
                prop_assert_eq!(reason.as_str(), text.trim());
                prop_assert!(reason.as_str().lines().count() == 1);
                prop_assert_eq!(reason.as_str().parse::<Reason>(), Ok(reason.clone()));
            }
            let _ = text.parse::<TicketRef>();
        }
    }
}
