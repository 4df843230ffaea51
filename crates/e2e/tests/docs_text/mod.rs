//! What stands in the documentation: its files, its code, the commands in it, its links.

use std::fs;
use std::path::{Path, PathBuf};

/// A page, with its path below the root of the repository.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", root.display()))
}

/// Every page that users and developers are given.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = Vec::new();
    below(&root().join("docs"), &mut paths);
    for name in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "plan.md"] {
        paths.push(root().join(name));
    }
    paths.sort();
    paths.iter().filter(|path| path.extension().is_some_and(|kind| kind == "md")).map(|path| page(path)).collect()
}

fn page(path: &Path) -> Page {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Page { path: path.strip_prefix(root()).expect("it was found below the root").to_owned(), text }
}

/// Every file below a directory.
pub(crate) fn below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { below(&path, found) } else { found.push(path) }
    }
}

impl Page {
    /// Lines of code, indented or fenced, and what stands between backticks in the text.
    pub(crate) fn code(&self) -> Vec<&str> {
        let (mut code, mut fenced) = (Vec::new(), false);
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if fenced {
                code.push(line.trim());
            } else if let Some(indented) = line.strip_prefix("    ") {
                code.push(indented.trim());
            } else {
                code.extend(line.split('`').skip(1).step_by(2));
            }
        }
        code
    }

    /// Targets of the links to other files, and to headings of this one.
    pub(crate) fn links(&self) -> Vec<&str> {
        let ends = self.text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        let links = ends.map(|(link, _)| link.split_whitespace().next().unwrap_or_default());
        links.filter(|link| !link.contains("://") && !link.starts_with("mailto:")).collect()
    }

    /// What links to headings of this page look like.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| slug(line.trim_start_matches('#').trim())).collect()
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|&found| found.is_alphanumeric() || " -_".contains(found));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Simple commands of one line of shell, each as its words. Redirections, assignments and comments are left out.
pub(crate) fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let (mut quote, mut chars) = (None, line.chars().peekable());
    while let Some(found) = chars.next() {
        match (quote, found) {
            (Some(open), close) if open == close => quote = None,
            // Inside double quotes a command may start, too.
            (None | Some('"'), '$') if chars.peek() == Some(&'(') => {
                chars.next();
                quote = None;
                word = None;
                all.push(std::mem::take(&mut words));
            }
            (Some(_), _) => word.get_or_insert_default().push(found),
            (None, '\'' | '"') => {
                quote = Some(found);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';' | ')') => {
                words.extend(word.take());
                all.push(std::mem::take(&mut words));
            }
            (None, _) if found.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(found),
        }
    }
    words.extend(word);
    all.push(words);
    all.into_iter().map(plain).filter(|words| !words.is_empty()).collect()
}

/// Without prompt, cron's times, assignments in front, and redirections.
fn plain(words: Vec<String>) -> Vec<String> {
    let in_front = |word: &String| word == "$" || word.starts_with('*') || is_assignment(word);
    let mut kept = Vec::new();
    let mut words = words.into_iter().skip_while(in_front);
    while let Some(word) = words.next() {
        if word == "<" || word == ">" || word == ">>" {
            words.next();
        } else if !word.starts_with(['<', '>']) {
            kept.push(word);
        }
    }
    kept
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| !name.is_empty() && name.chars().all(|found| found.is_ascii_alphanumeric() || found == '_'))
}
