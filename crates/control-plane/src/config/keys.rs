//! Reads one table of a settings file key by key, and keeps every fault instead of stopping at the first.
//!
//! Always holds: a key that nobody asked for is a fault, and a fault names its key and never a secret's value.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use gk_shared::problem::ErrorCode;

/// Something wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, written as `limits.max_connections`, or the environment variable.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
    /// The stable word for it.
    pub code: ErrorCode,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.key, self.message)
    }
}

impl Fault {
    /// A file that is no TOML, with the line where the reading stopped. The line itself is not repeated.
    pub(crate) fn of_toml(key: &str, error: &toml::de::Error, text: &str) -> Self {
        let upto = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..upto].iter().filter(|byte| **byte == b'\n').count() + 1;
        Self {
            key: key.to_owned(),
            message: format!("line {line} is not TOML: {}", error.message()),
            code: ErrorCode::ConfigInvalid,
        }
    }
}

/// All faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, key: impl Into<String>, message: impl fmt::Display) {
        self.add_as(ErrorCode::ConfigInvalid, key, message);
    }

    /// The same under another word than that for settings in general.
    pub(crate) fn add_as(&mut self, code: ErrorCode, key: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Fault { key: key.into(), message: message.to_string(), code });
    }
}

/// The keys of one table.
pub(crate) struct Keys {
    table: toml::Table,
    path: String,
}

impl Keys {
    pub(crate) fn root(table: toml::Table) -> Self {
        Self { table, path: String::new() }
    }

    /// The keys of a table that stands at `path`.
    pub(crate) fn at(table: toml::Table, path: String) -> Self {
        Self { table, path }
    }

    /// The full name of `key`.
    pub(crate) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The table under `key`; an empty one where there is none.
    pub(crate) fn table(&mut self, key: &str, faults: &mut Faults) -> Self {
        let path = self.name(key);
        match self.table.remove(key) {
            None => Self { table: toml::Table::new(), path },
            Some(toml::Value::Table(table)) => Self { table, path },
            Some(other) => {
                faults.add(&path, format!("expected a table [{path}], got {}", other.type_str()));
                Self { table: toml::Table::new(), path }
            }
        }
    }

    /// The tables under `key`, each written as `[[key]]`; none where there is none.
    pub(crate) fn tables(&mut self, key: &str, faults: &mut Faults) -> Vec<Self> {
        let path = self.name(key);
        let values = match self.table.remove(key) {
            None => Vec::new(),
            Some(toml::Value::Array(values)) => values,
            Some(other) => vec![other],
        };
        let mut tables = Vec::new();
        for (place, value) in (1..).zip(values) {
            match value {
                toml::Value::Table(table) => tables.push(Self::at(table, format!("{path}[{place}]"))),
                other => {
                    faults.add(&path, format!("expected tables, each written as [[{path}]], got {}", other.type_str()));
                }
            }
        }
        tables
    }

    /// The text under `key`.
    pub(crate) fn text(&mut self, key: &str, faults: &mut Faults) -> Option<String> {
        match self.table.remove(key)? {
            toml::Value::String(text) => Some(text),
            other => {
                faults.add(self.name(key), format!("expected text in quotes, got {}", other.type_str()));
                None
            }
        }
    }

    /// The list of texts under `key`; one that is missing is a fault.
    pub(crate) fn texts(&mut self, key: &str, faults: &mut Faults) -> Option<Vec<String>> {
        let texts = match self.table.remove(key) {
            Some(toml::Value::Array(values)) => {
                values.iter().map(|value| value.as_str().map(ToOwned::to_owned)).collect::<Option<Vec<String>>>()
            }
            Some(_) | None => None,
        };
        if texts.is_none() {
            faults.add(self.name(key), "expected a list of texts, such as [\"one\", \"two\"]");
        }
        texts
    }

    /// The text under `key`, read as a `T`.
    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &str, faults: &mut Faults) -> Option<T> {
        let text = self.text(key, faults)?;
        text.parse().map_err(|error| faults.add(self.name(key), error)).ok()
    }

    /// The path under `key`; it must be absolute, so that it does not depend on where the program was started.
    pub(crate) fn path(&mut self, key: &str, faults: &mut Faults) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(key, faults)?);
        if path.is_absolute() {
            return Some(path);
        }
        faults.add(self.name(key), format!("`{}` must be an absolute path", path.display()));
        None
    }

    /// The whole number under `key`, within `range`.
    pub(crate) fn number(&mut self, key: &str, range: RangeInclusive<i64>, faults: &mut Faults) -> Option<i64> {
        let found = match self.table.remove(key)? {
            toml::Value::Integer(number) if range.contains(&number) => return Some(number),
            toml::Value::Integer(number) => number.to_string(),
            other => other.type_str().to_owned(),
        };
        let (least, most) = (range.start(), range.end());
        faults.add(self.name(key), format!("expected a whole number from {least} to {most}, got {found}"));
        None
    }

    /// The time under `key`, such as `"5s"`, within `range`.
    pub(crate) fn time(&mut self, key: &str, range: RangeInclusive<Duration>, faults: &mut Faults) -> Option<Duration> {
        let text = self.text(key, faults)?;
        let (least, most) = (range.start(), range.end());
        match duration(&text) {
            Some(time) if range.contains(&time) => Some(time),
            Some(_) | None => {
                let bounds = format!("{}s to {}s", least.as_secs_f64(), most.as_secs_f64());
                faults
                    .add(self.name(key), format!("expected a time such as \"500ms\", \"5s\" or \"2m\" from {bounds}"));
                None
            }
        }
    }

    /// Refuses `key`, which would hold a secret: secrets come by file.
    pub(crate) fn no_secret(&mut self, key: &str, faults: &mut Faults) {
        if self.table.remove(key).is_some() {
            let name = self.name(key);
            faults.add(
                &name,
                format!(
                    "a secret may not stand in this file: put it into a file of mode 0600 and name that in {name}_file"
                ),
            );
        }
    }

    /// Whether there is something under `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Leaves `key` unread.
    pub(crate) fn forget(&mut self, key: &str) {
        self.table.remove(key);
    }

    /// Ends the reading: whatever is left was not asked for.
    pub(crate) fn finish(self, known: &[&str], faults: &mut Faults) {
        for key in self.table.keys() {
            let known = if known.is_empty() { String::new() } else { format!(" (known here: {})", known.join(", ")) };
            faults.add(self.name(key), format!("unknown key{known}"));
        }
    }
}

/// Reads `500ms`, `5s`, `2m` or `1h`: one whole number and its unit.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|found: char| !found.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    let count: u64 = digits.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    count.checked_mul(millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_whole_number_with_its_unit() {
        for (text, millis) in [("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in
            ["", "5", "s", "5 s", "1.5s", "-1s", "5S", "1h30m", "99999999999999999999s", "18446744073709551615h", "5ˋ"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
