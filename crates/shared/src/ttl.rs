//! How long a session may live.
//!
//! Always holds: a [`Ttl`] is a whole number of seconds from 5 to 86,400. People write it as `90s`, `15m`, `2h`
//! or `1h30m`; every other spelling is refused rather than guessed at, because a ttl read in the wrong unit is
//! access that lasts sixty times too long.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use thiserror::Error;

use crate::names::text::shown;

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

/// The units a ttl is written in, smallest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Unit {
    const fn secs(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Second => 's',
            Self::Minute => 'm',
            Self::Hour => 'h',
        }
    }

    const fn of(letter: char) -> Option<Self> {
        match letter {
            's' => Some(Self::Second),
            'm' => Some(Self::Minute),
            'h' => Some(Self::Hour),
            _ => None,
        }
    }

    /// The largest unit that `secs` is whole in.
    const fn dividing(secs: u32) -> Self {
        if secs.is_multiple_of(3600) {
            Self::Hour
        } else if secs.is_multiple_of(60) {
            Self::Minute
        } else {
            Self::Second
        }
    }

    fn write(self, secs: u32) -> String {
        format!("{}{}", secs / self.secs(), self.letter())
    }
}

impl FromStr for Ttl {
    type Err = TtlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(TtlError::Empty);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unitless(text));
        }
        if let Some(instead) = whole_units(text) {
            return Err(TtlError::Fraction { shown: shown(text), instead });
        }
        let secs = total(text).ok_or_else(|| TtlError::Form { shown: shown(text) })?;
        Self::from_wide(secs, || text.to_owned())
    }
}

/// What to say to a number alone: zero is too short in every unit.
fn unitless(text: &str) -> TtlError {
    let digits = text.trim_start_matches('0');
    match digits.len() {
        0 => TtlError::TooShort,
        1..=5 => TtlError::NoUnit { shown: shown(text) },
        _ => TtlError::TooLarge { shown: shown(text) },
    }
}

/// The seconds of `1h30m`; a sum too large for a number counts as the largest number.
fn total(text: &str) -> Option<u64> {
    let (mut rest, mut last, mut sum) = (text, None, 0_u64);
    while !rest.is_empty() {
        let end = rest.find(|found: char| !found.is_ascii_digit())?;
        let (digits, tail) = rest.split_at(end);
        let unit = Unit::of(tail.chars().next()?)?;
        if digits.is_empty() || last.is_some_and(|last| unit >= last) {
            return None;
        }
        // All digits, so the one way to fail is too many of them.
        let count = digits.parse::<u64>().unwrap_or(u64::MAX);
        sum = sum.saturating_add(count.saturating_mul(u64::from(unit.secs())));
        (rest, last) = (&tail[1..], Some(unit));
    }
    Some(sum)
}

/// For `1.5h` the same in whole units, `90m`; `None` where `text` is no decimal fraction of a unit.
fn whole_units(text: &str) -> Option<String> {
    let unit = Unit::of(text.chars().next_back()?)?;
    let (whole, fraction) = text[..text.len() - 1].split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let secs = exact_secs(whole, fraction, unit).filter(|&secs| Ttl::from_secs(secs).is_ok());
    Some(secs.map_or_else(|| "15m".to_owned(), smaller_unit))
}

/// `whole.fraction` units in seconds, if that is a whole number of them and not absurdly long.
fn exact_secs(whole: &str, fraction: &str, unit: Unit) -> Option<u32> {
    let fraction = fraction.trim_end_matches('0');
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? };
    let units = whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(parts)?;
    let scaled = units.checked_mul(u64::from(unit.secs()))?;
    scaled.is_multiple_of(scale).then(|| u32::try_from(scaled / scale).ok()).flatten()
}

/// In one unit, the way people say it who wrote a fraction: minutes where they fit, else seconds.
fn smaller_unit(secs: u32) -> String {
    Unit::dividing(secs).min(Unit::Minute).write(secs)
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

impl serde::Serialize for Ttl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Ttl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u32(SecondsVisitor)
    }
}

/// Takes whole numbers only: `15.0`, `1e1` and `"15"` are refused, not converted.
struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Ttl;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("whole seconds from 5 to 86400")
    }

    fn visit_u64<E: de::Error>(self, secs: u64) -> Result<Ttl, E> {
        Ttl::from_wide(secs, || format!("{secs}s")).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, secs: i64) -> Result<Ttl, E> {
        // Below zero is too short, too.
        self.visit_u64(u64::try_from(secs).unwrap_or(0))
    }
}

impl utoipa::PartialSchema for Ttl {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Integer)
            .description(Some("How long the session lives, in whole seconds."))
            .minimum(Some(Self::MIN.0))
            .maximum(Some(Self::MAX.0))
            .examples([900])
            .build()
            .into()
    }
}

impl utoipa::ToSchema for Ttl {}
