//! Reads a ttl as people write it.

use std::str::FromStr;

use super::{Ttl, TtlError};
use crate::names::text::shown;

/// The units a ttl is written in, smallest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Second,
    Minute,
    Hour,
}

impl Unit {
    pub(super) const fn secs(self) -> u32 {
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
    pub(super) const fn dividing(secs: u32) -> Self {
        if secs.is_multiple_of(3600) {
            Self::Hour
        } else if secs.is_multiple_of(60) {
            Self::Minute
        } else {
            Self::Second
        }
    }

    pub(super) fn write(self, secs: u32) -> String {
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
    Some(secs.map_or_else(|| "for example 15m".to_owned(), smaller_unit))
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
