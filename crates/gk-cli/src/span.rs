//! Lengths of time on the command line that are not a session's ttl: waits, lags, the life of a token.
//!
//! Written like a ttl, `90s`, `2m`, `12h`, and in days, `90d`; every other spelling is refused.

use std::str::FromStr;
use std::time::Duration;

/// A length of time, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u64);

/// Why a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time: write whole units such as 90s, 2m, 12h or 90d")]
pub(crate) struct SpanError(String);

impl Span {
    /// Whole seconds.
    pub(crate) const fn as_secs(self) -> u64 {
        self.0
    }

    /// The same as a [`Duration`].
    pub(crate) const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// So many seconds.
    pub(crate) const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        total(text).map(Self).ok_or_else(|| SpanError(crate::error::plain(text).chars().take(40).collect()))
    }
}

/// The seconds of `1h30m`, largest unit first.
fn total(text: &str) -> Option<u64> {
    let (mut rest, mut sum, mut last) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() {
        let end = rest.find(|found: char| !found.is_ascii_digit())?;
        let count: u64 = rest.get(..end)?.parse().ok()?;
        let unit = match rest[end..].chars().next()? {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        sum = sum.checked_add(count.checked_mul(unit)?)?;
        (rest, last) = (&rest[end + 1..], unit);
    }
    (!text.is_empty()).then_some(sum)
}

impl std::fmt::Display for Span {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&gk_shared::ttl::humanize(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_units_are_read_and_everything_else_is_refused() {
        for (text, secs) in [("0s", 0), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("90d", 7_776_000)] {
            assert_eq!(text.parse(), Ok(Span(secs)), "{text}");
        }
        for text in ["", "5", "m", "1.5h", "2M", "30m1h", "-1s", "+1s", "ˋ", "1ˋ", "99999999999999999999h", "1m1m"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
