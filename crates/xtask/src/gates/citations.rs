//! Two pages name a test for every line of their table, the attackers and the promises, and each test is there.

use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file and the test of each citation in a cell such as `` `FILE`: `test`, `test`; `FILE`: `test` ``.
fn citations(cell: &str) -> Vec<(String, String)> {
    let (mut file, mut found) = (String::new(), Vec::new());
    for word in cell.split('`').skip(1).step_by(2) {
        if word.contains('/') {
            word.clone_into(&mut file);
        } else {
            found.push((file.clone(), word.to_owned()));
        }
    }
    found
}

/// Holds the last cell of every line of a page's table against the tests.
fn hold(page: &str, at_least: usize) {
    let text = read(page);
    let (_, table) = text.split_once("| Shown by |").expect("a table whose last cell shows its line");
    let lines: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(lines.len() >= at_least, "{page}: only {} lines were found: the search is blind", lines.len());
    for line in lines {
        let cell = line.trim_end_matches(" |").rsplit(" | ").next().expect("a line has a last cell");
        let cited = citations(cell);
        assert!(!cited.is_empty(), "{page}: nothing shows this: {line}");
        for (file, test) in cited {
            assert!(read(&file).contains(&format!("fn {test}(")), "{page}: {file} has no test {test}");
        }
    }
}

#[test]
fn every_line_of_the_threat_model_is_shown_by_tests_that_there_are() {
    hold("docs/threat-model.md", 10);
}

#[test]
fn every_promise_is_shown_by_tests_that_there_are() {
    hold("docs/reliability/promises.md", 16);
}
