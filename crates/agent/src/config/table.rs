//! Reads a TOML table strictly: a key that is not asked for is a fault, and every fault knows its line.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use gk_shared::problem::ErrorCode;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;

/// Where a document came from, for the places in faults.
pub(super) struct Document<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Document<'_> {
    /// `agent.toml:12: key`.
    pub(super) fn place(&self, at: usize, key: &str) -> String {
        let line = self.text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count() + 1;
        format!("{}:{line}: {key}", self.path.display())
    }
}

/// A table whose keys are taken out one by one; what is left at the end is unknown.
pub(super) struct Table<'d, 'a> {
    document: &'d Document<'a>,
    /// What stands before each key in a fault: `` or `target.`.
    prefix: &'static str,
    /// Where the table begins.
    at: usize,
    values: DeTable<'a>,
}

/// A value with its place.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) place: String,
}

impl<'d, 'a> Table<'d, 'a> {
    pub(super) fn new(document: &'d Document<'a>, prefix: &'static str, table: Spanned<DeTable<'a>>) -> Self {
        let at = table.span().start;
        Self { document, prefix, at, values: table.into_inner() }
    }

    fn place(&self, at: usize, key: &str) -> String {
        self.document.place(at, &format!("{}{key}", self.prefix))
    }

    /// Where the table begins, for a fault of `key` in it.
    pub(super) fn here(&self, key: &str) -> String {
        self.place(self.at, key)
    }

    fn take(&mut self, key: &str) -> Option<Spanned<DeValue<'a>>> {
        self.values.remove(key)
    }

    /// Refuses a table without this key.
    pub(super) fn require(&self, key: &str, why: &str, faults: &mut Faults) {
        if !self.values.contains_key(key) {
            faults.add(ErrorCode::ConfigInvalid, self.here(key), why);
        }
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str, faults: &mut Faults) -> Option<Found<String>> {
        let value = self.take(key)?;
        let place = self.place(value.span().start, key);
        match value.into_inner() {
            DeValue::String(text) if text.is_empty() => {
                faults.add(ErrorCode::ConfigInvalid, place, "must not be empty");
                None
            }
            DeValue::String(text) => Some(Found { value: text.into_owned(), place }),
            other => {
                faults.add(
                    ErrorCode::ConfigInvalid,
                    place,
                    format!("must be a text in quotes, not a {}", other.type_str()),
                );
                None
            }
        }
    }

    /// A text that a type reads.
    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        key: &str,
        faults: &mut Faults,
    ) -> Option<Found<T>> {
        let found = self.text(key, faults)?;
        match found.value.parse() {
            Ok(value) => Some(Found { value, place: found.place }),
            Err(error) => {
                faults.add(ErrorCode::ConfigInvalid, found.place, error.to_string());
                None
            }
        }
    }

    /// A path; a relative one starts where the file is, not where the process was started.
    pub(super) fn path(&mut self, key: &str, faults: &mut Faults) -> Option<Found<PathBuf>> {
        let Found { value, place } = self.text(key, faults)?;
        let base = self.document.path.parent().unwrap_or(Path::new("/"));
        Some(Found { value: base.join(value), place })
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&mut self, key: &str, (least, most): (u32, u32), faults: &mut Faults) -> Option<u32> {
        let value = self.take(key)?;
        let place = self.place(value.span().start, key);
        let number = match value.get_ref() {
            DeValue::Integer(digits) => u32::from_str_radix(digits.as_str(), digits.radix()).ok(),
            DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        };
        let within = number.filter(|number| (least..=most).contains(number));
        if within.is_none() {
            faults.add(ErrorCode::ConfigInvalid, place, format!("must be a whole number from {least} to {most}"));
        }
        within
    }

    /// `[[key]]` tables.
    pub(super) fn tables(&mut self, key: &str, prefix: &'static str, faults: &mut Faults) -> Vec<Table<'d, 'a>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let place = self.place(value.span().start, key);
        let DeValue::Array(items) = value.into_inner() else {
            faults.add(ErrorCode::ConfigInvalid, place, format!("write it as [[{key}]], once for each"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => tables.push(Table::new(self.document, prefix, Spanned::new(span, table))),
                other => faults.add(
                    ErrorCode::ConfigInvalid,
                    place.clone(),
                    format!("write it as [[{key}]], not as a {}", other.type_str()),
                ),
            }
        }
        tables
    }

    /// What was never asked for is unknown: a misspelt setting must not be silently without effect.
    pub(super) fn finish(self, known: &[&str], faults: &mut Faults) {
        for key in self.values.keys() {
            let text = format!("is not a setting; there are: {}", known.join(", "));
            faults.add(ErrorCode::ConfigInvalid, self.place(key.span().start, key.get_ref()), text);
        }
    }
}
