//! The table of `docs/reliability/fuzz.md`: what the longest runs tried, one line a target.

use super::engine::Tried;
use crate::step::{Failure, Outcome};
use crate::workspace::Workspace;
use std::fs;
use std::path::PathBuf;

const BEGIN: &str = "<!-- runs: written by `cargo xtask fuzz --write` -->\n";
const END: &str = "<!-- end of runs -->\n";
const HEAD: &str = "| Target | Inputs tried | Broke it | Seconds of one processor | Edges reached | Inputs of note |\n\
                    |---|--:|--:|--:|--:|--:|\n";

/// The page.
pub(super) struct Page(PathBuf);

impl Page {
    pub(super) fn of(workspace: &Workspace) -> Self {
        Self(workspace.root.join("docs/reliability/fuzz.md"))
    }

    /// Puts a run in its line; the other lines stay.
    pub(super) fn set(&self, tried: &Tried) -> Outcome {
        let failed =
            |doing: &str, error: std::io::Error| Failure::new(format!("{doing} {}: {error}", self.0.display()));
        let text = fs::read_to_string(&self.0).map_err(|error| failed("reading", error))?;
        let text = with(&text, tried)
            .ok_or_else(|| Failure::new(format!("{} has no place for runs: `{}`", self.0.display(), BEGIN.trim())))?;
        fs::write(&self.0, text).map_err(|error| failed("writing", error))
    }
}

fn with(page: &str, tried: &Tried) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    let mine = format!("| `{}` |", tried.target);
    let mut lines: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| `") && !line.starts_with(&mine)).collect();
    // A run that broke a property writes nothing: there is something to mend first.
    let line = format!(
        "{mine} {} | 0 | {} | {} | {} |",
        grouped(tried.inputs),
        grouped(tried.seconds),
        grouped(tried.edges),
        grouped(tried.corpus)
    );
    lines.push(&line);
    lines.sort_unstable();
    Some(format!("{before}{BEGIN}{HEAD}{}\n{END}{after}", lines.join("\n")))
}

/// 10000000 as 10,000,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_its_line_and_leaves_the_others() {
        let tried = |target: &str, inputs| Tried { target: target.into(), inputs, seconds: 480, edges: 12, corpus: 3 };
        let empty = format!("above\n{BEGIN}{END}below\n");
        let page = with(&empty, &tried("ttl", 5)).unwrap();
        let page = with(&page, &tried("dsn", 10_000_000)).unwrap();
        let page = with(&page, &tried("ttl", 1_234)).unwrap();
        let rows = "| `dsn` | 10,000,000 | 0 | 480 | 12 | 3 |\n| `ttl` | 1,234 | 0 | 480 | 12 | 3 |\n";
        assert_eq!(page, format!("above\n{BEGIN}{HEAD}{rows}{END}below\n"));
        assert_eq!(with("a page without the place", &tried("ttl", 1)), None);
    }
}
