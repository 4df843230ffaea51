//! `docs/threat-model.md` names a test for every line of its table, and each of them is there.

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

#[test]
fn every_line_of_the_threat_model_is_shown_by_tests_that_there_are() {
    let page = read("docs/threat-model.md");
    let (_, table) = page.split_once("| Shown by |").expect("the table of attackers");
    let lines: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(lines.len() >= 10, "only {} lines were found: the search is blind", lines.len());
    for line in lines {
        let cell = line.trim_end_matches(" |").rsplit(" | ").next().expect("a line has a last cell");
        let cited = citations(cell);
        assert!(!cited.is_empty(), "nothing shows this: {line}");
        for (file, test) in cited {
            assert!(read(&file).contains(&format!("fn {test}(")), "{file} has no test {test}");
        }
    }
}
