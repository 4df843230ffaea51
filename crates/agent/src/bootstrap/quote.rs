//! Quoting of what a caller chose, so that no text can become SQL.

/// A string literal that means `text` whatever `standard_conforming_strings` is.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// The text form of a one-dimensional Postgres array, each element quoted.
pub(super) fn array<'a>(elements: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> =
        elements.map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("{{{}}}", quoted.join(","))
}
