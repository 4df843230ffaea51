//! `docs/errors/` and `docs/exit-codes.md` are written from the code. `GK_BLESS=1` writes them anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The page of one code.
fn page(code: ErrorCode) -> String {
    let exit = code.exit();
    let meaning = ExitCode::ALL.iter().find(|(known, _)| *known == exit).map_or("", |(_, what)| what);
    let again = if code.retryable() {
        "Yes: the same request may succeed later, with the same `Idempotency-Key` where it has one."
    } else {
        "No: repeating the same request changes nothing."
    };
    format!(
        "# {word}\n\n{means}\n\n## What to do\n\n{next}\n\n## For programs\n\n\
         | | |\n| --- | --- |\n| code | `{word}` |\n| HTTP status | {status} |\n| exit code of `gk` | {number}: {meaning} |\n\
         | worth repeating | {again} |\n\nThe same in the terminal: `gk explain {word}`. All codes: [errors](README.md).\n",
        word = code.as_str(),
        means = code.meaning(),
        next = code.next(),
        status = code.status(),
        number = exit.number(),
    )
}

fn index() -> String {
    let mut text = "# Errors\n\nEvery failure has a stable code: `error[CODE]` in the terminal, `code` in `gk.error.v1` and in \
                    problem documents. Codes are never renamed and never reused.\n\n| code | exit | meaning |\n| --- | --- | --- |\n"
        .to_owned();
    for code in ErrorCode::ALL {
        let (word, exit) = (code.as_str(), code.exit().number());
        text += &format!("| [{word}]({word}.md) | {exit} | {} |\n", code.meaning());
    }
    text
}

fn exit_codes() -> String {
    let mut text =
        "# Exit codes of `gk`\n\nFrozen: a code never changes its meaning. `gk help exit-codes` prints the same list; \
                    `gk exec` otherwise exits as its command does, or with 128 and the signal that ended it.\n\n\
                    | code | meaning |\n| --- | --- |\n"
            .to_owned();
    for (code, meaning) in ExitCode::ALL {
        text += &format!("| {} | {meaning} |\n", code.number());
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "whoever runs this test says so in the environment")]
fn blesses() -> bool {
    std::env::var_os("GK_BLESS").is_some_and(|value| value == "1")
}

/// Compares a file with what it should be, or writes it.
fn check(path: &Path, wanted: &str) {
    if blesses() {
        std::fs::create_dir_all(path.parent().expect("lies somewhere")).expect("makes the directory");
        std::fs::write(path, wanted).expect("writes");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "{} is out of date: run this test with GK_BLESS=1", path.display());
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let errors = docs().join("errors");
    let mut wanted: BTreeSet<String> = ["README.md".to_owned()].into();
    check(&errors.join("README.md"), &index());
    for code in ErrorCode::ALL {
        let name = format!("{}.md", code.as_str());
        check(&errors.join(&name), &page(*code));
        wanted.insert(name);
    }
    let found = std::fs::read_dir(&errors).expect("is there").flatten();
    let found: BTreeSet<String> = found.map(|file| file.file_name().into_string().expect("text")).collect();
    assert_eq!(found, wanted, "no page without a code");
}

#[test]
fn the_page_of_exit_codes_lists_them_all() {
    check(&docs().join("exit-codes.md"), &exit_codes());
}
