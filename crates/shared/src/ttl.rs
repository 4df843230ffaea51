//! How long a session may live.
//!
//! Always holds: a [`Ttl`] is a whole number of seconds from 5 to 86,400. People write it as `90s`, `15m`, `2h`
//! or `1h30m`; every other spelling is refused rather than guessed at, because a ttl read in the wrong unit is
//! access that lasts sixty times too long.

mod json;
mod parse;

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::names::text::shown;
pub use json::text;
use parse::Unit;

/// A session's time to live.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u32);

/// Why a value is no ttl.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TtlError {
    /// Nothing was given.
    #[error("a ttl needs a value, such as 15m")]
    Empty,
    /// Not one of the accepted forms.
    #[error("`{shown}` is not a ttl: write whole units, largest first, such as 90s, 15m, 2h or 1h30m")]
    Form {
        /// The value, shortened.
        shown: String,
    },
    /// A number alone says nothing about its unit.
    #[error("`{shown}` has no unit: write {shown}s, {shown}m or {shown}h")]
    NoUnit {
        /// The value, shortened.
        shown: String,
    },
    /// A fraction of a unit.
    #[error("`{shown}` is not whole: use whole units: {instead}")]
    Fraction {
        /// The value, shortened.
        shown: String,
        /// The same time in whole units, or an example where there is none.
        instead: String,
    },
    /// Below the least that any session gets.
    #[error("ttl must be at least 5s")]
    TooShort,
    /// Above the most that any session gets.
    #[error("`{shown}` is too large: a ttl is at most 24h")]
    TooLarge {
        /// The value, shortened.
        shown: String,
    },
    /// A good ttl, but more than this target, pack or actor may have.
    #[error("{asked} is above the limit of {limit} for {of}")]
    AboveLimit {
        /// The ttl asked for.
        asked: String,
        /// The most that is allowed, in the same unit.
        limit: String,
        /// What the limit belongs to: "this target".
        of: String,
    },
}

impl TtlError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_ttl"
    }
}

impl Ttl {
    /// The shortest: below it a session ends before anybody has used it.
    pub const MIN: Self = Self(5);
    /// The longest: what needs more is not a session.
    pub const MAX: Self = Self(24 * 60 * 60);

    /// A ttl of `secs` seconds.
    pub fn from_secs(secs: u32) -> Result<Self, TtlError> {
        Self::from_wide(u64::from(secs), || format!("{secs}s"))
    }

    /// A ttl of `minutes` minutes.
    pub fn from_minutes(minutes: u32) -> Result<Self, TtlError> {
        Self::from_wide(u64::from(minutes) * 60, || format!("{minutes}m"))
    }

    /// The one place where the bounds are applied; `typed` says how to repeat the value.
    fn from_wide(secs: u64, typed: impl FnOnce() -> String) -> Result<Self, TtlError> {
        match u32::try_from(secs).map(Self) {
            Ok(ttl) if ttl < Self::MIN => Err(TtlError::TooShort),
            Ok(ttl) if ttl <= Self::MAX => Ok(ttl),
            Ok(_) | Err(_) => Err(TtlError::TooLarge { shown: shown(&typed()) }),
        }
    }

    /// Whole seconds.
    #[must_use]
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// The same as a [`Duration`].
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// Refuses a ttl above `limit`, which is inclusive. `of` names the owner of the limit: "this target".
    pub fn check_limit(self, limit: Self, of: &str) -> Result<(), TtlError> {
        if self <= limit {
            return Ok(());
        }
        // Both in one unit: "241m is above 240m" is plain, "4h1m is above 4h" makes people count.
        let unit = Unit::dividing(self.0).min(Unit::dividing(limit.0));
        Err(TtlError::AboveLimit { asked: unit.write(self.0), limit: unit.write(limit.0), of: of.to_owned() })
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut rest = self.0;
        for unit in [Unit::Hour, Unit::Minute, Unit::Second] {
            if rest >= unit.secs() {
                text += &unit.write(rest);
                rest %= unit.secs();
            }
        }
        out.pad(&text)
    }
}

impl fmt::Debug for Ttl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// `secs` for people, rounded down to its two largest units: `45s`, `15m`, `1h30m`, `3d4h`.
#[must_use]
pub fn humanize(secs: u64) -> String {
    let (days, hours, minutes, seconds) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60);
    let two = |large: u64, large_unit: char, small: u64, small_unit: char| match small {
        0 => format!("{large}{large_unit}"),
        small => format!("{large}{large_unit}{small}{small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => two(minutes, 'm', seconds, 's'),
        (0, hours, minutes) => two(hours, 'h', minutes, 'm'),
        (days, hours, _) => two(days, 'd', hours, 'h'),
    }
}

#[cfg(test)]
mod tests;
