//! Plain columns: no borders, no colours, no wrapping, so that they are the same on a terminal and in a pipe.

use crate::error::plain;

/// Lines with aligned columns under their headings; the empty text where there are no rows.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(|cell| plain(&cell))).collect();
    if rows.is_empty() {
        return String::new();
    }
    let all: Vec<[String; N]> = std::iter::once(headings.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    all.iter()
        .map(|row| {
            let line: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
            format!("{}\n", line.trim_end())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_no_line_ends_in_blanks() {
        let text = table(["NAME", "N"], [["a".to_owned(), "1".to_owned()], ["long".to_owned(), String::new()]]);
        assert_eq!(text, "NAME  N\na     1\nlong\n");
        assert_eq!(table(["NAME"], []), "");
    }
}
