//! The documentation is true: its commands parse, its links lead somewhere, the files that it names are there.

mod docs_text;

use docs_text::{Page, below, commands, pages, root};
use gk_e2e::program;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: &[&str] = &["gk", "gk-agent", "gk-control-plane"];
/// Words that stand for something of the reader's, and something of the right form.
const STANDS_FOR: &[(&str, &str)] = &[
    ("ID", "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ("SESSION", "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ("REQUEST_OR_SESSION", "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ("CODE", "not_found"),
    ("URL", "http://127.0.0.1:4000"),
    ("TTL", "10m"),
    ("TIME", "10m"),
    ("D", "10m"),
    ("SHELL", "bash"),
    ("TARGET", "pg-local"),
    ("T", "pg-local"),
    ("ROLE", "app_read"),
    ("SCOPE", "requester"),
    ("STORE", "file"),
    ("COMMAND", "true"),
];

#[test]
fn every_command_line_in_the_documentation_parses() {
    let (mut checked, mut wrong) = (BTreeSet::new(), Vec::new());
    for page in pages() {
        // What is planned may name what is not there yet.
        if page.path == Path::new("plan.md") {
            continue;
        }
        for line in page.code().into_iter().filter(|line| !line.contains(['─', '►', '│'])) {
            for words in commands(line) {
                if let Some(command) = ours(&words)
                    && checked.insert(command.clone())
                    && let Err(why) = parses(&command)
                {
                    wrong.push(format!("{}: {line}\n  as {command:?}: {why}", page.path.display()));
                }
            }
        }
    }
    println!("{} command lines", checked.len());
    assert!(checked.len() >= 20, "only {} command lines were found: the search is blind", checked.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A command of ours: the program and its arguments, with something in place of what stands for something.
fn ours(words: &[String]) -> Option<Vec<String>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, args) = match words.as_slice() {
        ["cargo", "xtask", args @ ..] => ("xtask", args),
        ["cargo", "run", "--release", "--", args @ ..] => ("gk", args),
        [name, args @ ..] if PROGRAMS.contains(name) => (*name, args),
        _ => return None,
    };
    // A synopsis, not a command; and a program that is only named.
    if args.is_empty() || args.iter().any(|word| word.contains(['[', '<'])) {
        return None;
    }
    let args = args.iter().take_while(|&&word| !["--", "…", "...", "\\"].contains(&word));
    let args = args.map(|&word| {
        let stands_for = STANDS_FOR.iter().find(|(placeholder, _)| *placeholder == word);
        match stands_for {
            Some((_, value)) => (*value).to_owned(),
            None if word.starts_with("sess_") && word.contains('…') => STANDS_FOR[0].1.to_owned(),
            None => word.trim_end_matches(['…', ',', '.']).to_owned(),
        }
    });
    Some(std::iter::once(name.to_owned()).chain(args).collect())
}

/// Lets the program read its arguments; with `--help` last it does nothing else.
fn parses(command: &[String]) -> Result<(), String> {
    let (name, args) = command.split_first().expect("a command has a program");
    let output = Command::new(program(name)).args(args).arg("--help").env_clear().envs(gk_testkit::counters()).output();
    let output = output.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    // A flag that is named without a value is known all the same.
    let only_named =
        args.last().is_some_and(|last| last.starts_with("--") && said.contains(&format!("{last} needs a value")));
    if output.status.success() || only_named { Ok(()) } else { Err(said) }
}

#[test]
fn every_link_in_the_documentation_leads_somewhere() {
    let pages = pages();
    let (mut count, mut broken) = (0, Vec::new());
    for page in &pages {
        for link in page.links() {
            count += 1;
            if let Err(why) = leads(page, link, &pages) {
                broken.push(format!("{}: {link}: {why}", page.path.display()));
            }
        }
    }
    assert!(count > 5, "only {count} links were found: the search is blind");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn leads(page: &Page, link: &str, pages: &[Page]) -> Result<(), String> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let linked = if file.is_empty() { page.path.clone() } else { normal(&page.path.with_file_name(file)) };
    if !root().join(&linked).exists() {
        return Err(format!("{} is not there", linked.display()));
    }
    let target = pages.iter().find(|known| known.path == linked);
    match (anchor, target) {
        (Some(anchor), Some(target)) if !target.anchors().iter().any(|known| known == anchor) => {
            Err(format!("{} has no such heading", linked.display()))
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// A path without `..` in it.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut done, part| {
        match part {
            std::path::Component::ParentDir => drop(done.pop()),
            other => done.push(other),
        }
        done
    })
}

#[test]
fn every_file_that_the_architecture_names_is_there() {
    let pages = pages();
    let page = pages.iter().find(|page| page.path == Path::new("docs/architecture.md"));
    let page = page.expect("docs/architecture.md is what newcomers read first");
    let mut files = Vec::new();
    for dir in ["crates", "sql", "docs", "infra-dev"] {
        below(&root().join(dir), &mut files);
    }
    let files: Vec<String> = files.iter().map(|path| format!("/{}", shown(path))).collect();
    let named: BTreeSet<String> = page.code().iter().flat_map(|code| paths(code)).collect();
    let there = |path: &String| {
        let (inside, dir) = (format!("/{path}"), format!("/{}/", path.trim_end_matches('/')));
        root().join(path).exists() || files.iter().any(|file| file.ends_with(&inside) || file.contains(&dir))
    };
    let missing: Vec<&String> = named.iter().filter(|path| !there(path)).collect();
    println!("{} paths", named.len());
    assert!(named.len() >= 10, "only {} paths were found: the search is blind", named.len());
    assert!(missing.is_empty(), "docs/architecture.md names what is not there: {missing:?}");
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).expect("it was found below the root").to_string_lossy().into_owned()
}

/// The paths in a piece of code: what has a slash and ends like a file or a directory. `{a,b}` stands for both.
fn paths(code: &str) -> Vec<String> {
    let words = code.split(|found: char| found.is_whitespace() || "()\"'`;".contains(found));
    let path = |word: &&str| {
        let last = word.rsplit('/').next().unwrap_or_default();
        let like_a_file = [".rs", ".sql", ".md", ".toml", ".tsv"].iter().any(|end| last.ends_with(end));
        let plain = !word.starts_with('/') && !word.contains("://") && !word.contains(['*', '<', '$', '…']);
        plain && word.contains('/') && (like_a_file || last.is_empty())
    };
    let words = words.map(|word| word.trim_end_matches([',', ':', '.'])).filter(path);
    words.flat_map(expanded).collect()
}

fn expanded(word: &str) -> Vec<String> {
    let parts = word.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (choices, after))) = parts else { return vec![word.to_owned()] };
    choices.split(',').flat_map(|choice| expanded(&format!("{before}{choice}{after}"))).collect()
}

#[test]
fn the_reader_of_shell_lines_finds_every_command() {
    let line = r#"DSN=$(gk session create --reason "first look") && X=1 gk status < f || mail -s "x; y"  # gk no"#;
    let found = commands(line);
    assert_eq!(found[0], ["gk", "session", "create", "--reason", "first look"]);
    assert_eq!(found[1], ["gk", "status"]);
    assert_eq!(found[2], ["mail", "-s", "x; y"]);
    assert_eq!(found.len(), 3);
    assert_eq!(commands("$ gk-agent bootstrap --print | psql \"$DBA_DSN\"")[0], ["gk-agent", "bootstrap", "--print"]);
    assert_eq!(commands("*/5 * * * *  gk cleanup check")[0], ["gk", "cleanup", "check"]);
    assert_eq!(
        paths("see crates/{agent,shared}/src/lib.rs, sql/ledger/ and a/b"),
        ["crates/agent/src/lib.rs", "crates/shared/src/lib.rs", "sql/ledger/"]
    );
}
