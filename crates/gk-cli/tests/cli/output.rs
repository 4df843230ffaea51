//! Where words go, and what happens where they cannot.

use std::process::Stdio;

use crate::scripted::{PASSWORD, Scripted, session};
use crate::support::{Home, Ran, words};

const CREATE: &str = "session create --target pg-local --role app_read --ttl 15m";

#[test]
fn a_reader_that_has_left_is_no_panic() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    for line in ["session list", "explain", "help exit-codes", "completion bash", "--help", "target list --json"] {
        let mut command = home.command(words(line));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ran = Ran::of(command.stdout(writer).stderr(Stdio::piped()).output().expect("gk runs"));
        assert!([0, 141].contains(&ran.code), "{line}: {ran:?}");
        assert_eq!(ran.stderr, "", "{line}");
    }
}

#[test]
fn a_session_whose_credential_nobody_got_is_named_and_ended() {
    for closed in [true, false] {
        let plane = Scripted::good();
        let home = Home::at(&plane.url);
        let mut command = home.command(words(CREATE));
        if closed {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            command.stdout(writer);
        } else {
            command.stdout(std::fs::File::create("/dev/full").expect("is there"));
        }
        let ran = Ran::of(command.output().expect("gk runs")).exits(1).says("error[output_failed]");
        let ran = ran.says("cannot write output").says(&session().to_string());
        assert!(!ran.stderr.contains(PASSWORD));
        assert_eq!(plane.count("POST", &format!("/v1/sessions/{}/revoke", session())), 1);
    }
}

#[test]
fn a_full_disk_is_an_error_and_no_panic() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    for line in ["session list", "explain", "--version", "--help"] {
        let full = std::fs::File::create("/dev/full").expect("is there");
        let ran = Ran::of(home.command(words(line)).stdout(full).output().expect("gk runs"));
        assert_eq!(ran.code, 1, "{line}: {ran:?}");
        ran.says("cannot write output");
    }
}

#[test]
fn odd_terminals_get_plain_words_and_no_control_codes() {
    let plane = Scripted::good();
    let odd = [("TERM", "dumb"), ("NO_COLOR", "1"), ("COLUMNS", "20"), ("COLUMNS", "x"), ("TERM", "")];
    let plain = Home::at(&plane.url).gk(["session", "list"]).stdout;
    for (name, value) in odd {
        let home = Home::at(&plane.url).var(name, value);
        let ran = home.gk(["session", "list"]).exits(0);
        assert_eq!(ran.stdout, plain, "stdout is the same everywhere");
        let wrong = home.gk(["session", "show"]).exits(2);
        let help = home.gk(["session", "create", "--help"]).exits(0);
        for text in [ran.stderr, wrong.stderr, help.stdout] {
            assert!(!text.contains('\u{1b}'), "{name}={value}: {text}");
        }
    }
}

#[test]
fn colours_come_when_forced_and_on_stderr_alone() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url).var("CLICOLOR_FORCE", "1");
    let ran = home.gk(words(CREATE)).exits(0);
    assert!(ran.stderr.contains("\u{1b}[") && !ran.stdout.contains('\u{1b}'));
    assert!(!home.gk(words(&format!("{CREATE} --color never"))).stderr.contains('\u{1b}'));
    let always = Home::at(&plane.url).gk(words(&format!("{CREATE} --color always")));
    assert!(always.stderr.contains("\u{1b}["));
}

#[test]
fn quiet_leaves_the_datum_alone() {
    let plane = Scripted::good();
    let ran = Home::at(&plane.url).gk(words(&format!("{CREATE} --quiet"))).exits(0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_field_that_is_not_there_names_those_that_are() {
    let plane = Scripted::good();
    let ran = Home::at(&plane.url).gk(["status", "--field", "colour"]).exits(2).silent();
    ran.says("the answer has no `colour`").says("auditSize");
}

#[test]
fn version_is_instant_and_reads_nothing() {
    let home = Home::new();
    home.file(".config/gatekeeper/config.toml", "this is no TOML", 0o600);
    assert_eq!(home.gk(["--version"]).exits(0).stdout, format!("gk {}\n", env!("CARGO_PKG_VERSION")));
    let plane = Scripted::good();
    let ran = Home::at(&plane.url).gk(["version", "--json"]).exits(0);
    assert_eq!(ran.json()["gk"], ran.json()["controlPlane"]);
}

#[test]
fn doctor_finds_what_stands_in_the_way() {
    let plane = Scripted::good();
    let ran = Home::at(&plane.url).gk(["doctor", "--json"]).exits(0);
    assert_eq!((&ran.json()["schema"], &ran.json()["ok"]), (&"gk.doctor.v1".into(), &true.into()));
    let ran = Home::at("http://127.0.0.1:1").gk(["doctor"]).exits(10);
    assert!(ran.stdout.contains("failed") && ran.stdout.contains("control_plane_unreachable"), "{}", ran.stdout);
}
