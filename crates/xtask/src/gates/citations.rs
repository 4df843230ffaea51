//! Two pages name a test for every line of their table, the attackers and the promises, and each test is there; so is each
//! mutant that a promise names.

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

/// The cells of this column in every line of the page's table that has it.
fn column(text: &str, name: &str) -> Vec<String> {
    let wanted = format!("| {name} |");
    let mut lines = text.lines().skip_while(|line| !line.contains(&wanted));
    let header = lines.next().unwrap_or_else(|| panic!("no table has a column {name}"));
    let at = header.split('|').position(|cell| cell.trim() == name).expect("the header was found by it");
    let lines = lines.skip(1).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.split('|').nth(at).expect("a line has as many cells as its header").to_owned()).collect()
}

/// Holds a column of a page's table against what its cells cite.
fn hold(page: &str, (name, at_least): (&str, usize), is_in: fn(&str, &str) -> bool) {
    let cells = column(&read(page), name);
    assert!(cells.len() >= at_least, "{page}: only {} lines were found: the search is blind", cells.len());
    for (number, cell) in (1..).zip(cells) {
        let cited = citations(&cell);
        assert!(!cited.is_empty(), "{page}: line {number} of the table cites nothing under {name}");
        for (file, what) in cited {
            assert!(is_in(&read(&file), &what), "{page}: {file} has no {what}");
        }
    }
}

fn is_test(text: &str, name: &str) -> bool {
    text.contains(&format!("fn {name}("))
}

/// A test of its own, one that a macro makes, or a guard by its words.
fn is_mutant(text: &str, name: &str) -> bool {
    is_test(text, name) || text.contains(&format!("    {name}: ")) || text.contains(&format!("    \"{name}\", ["))
}

#[test]
fn every_line_of_the_threat_model_is_shown_by_tests_that_there_are() {
    hold("docs/threat-model.md", ("Shown by", 10), is_test);
}

#[test]
fn every_promise_is_shown_by_tests_that_there_are() {
    hold("docs/reliability/promises.md", ("Shown by", 16), is_test);
}

#[test]
fn every_promise_has_a_mutant_that_is_found() {
    hold("docs/reliability/promises.md", ("Mutants that are found", 16), is_mutant);
}
