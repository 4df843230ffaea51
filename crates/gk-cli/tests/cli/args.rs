//! Bad input at the command line: told before anything is sent. The rows are those of the list of bad inputs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::scripted::{Scripted, session};
use crate::support::{Home, words};

const ASK: [&str; 6] = ["session", "create", "--target", "pg-local", "--role", "app_read"];

/// Runs with these words added; checks code and text, that stdout is empty and that nothing was sent.
#[track_caller]
fn refused(args: &[&str], code: i32, texts: &[&str]) {
    let plane = Scripted::good();
    let mut ran = Home::at(&plane.url).gk(args).exits(code).silent();
    for text in texts {
        ran = ran.says(text);
    }
    assert!(ran.stderr.len() < 600, "a message is short: {}", ran.stderr);
    assert_eq!(plane.seen().len(), 0, "nothing is sent");
}

#[test]
fn a_bad_ttl_is_refused_before_anything_is_sent() {
    let rows = [
        ("0", "ttl must be at least 5s"),
        ("4s", "ttl must be at least 5s"),
        ("1.5h", "use whole units: 90m"),
        ("99999999999999999999h", "too large"),
        ("ˋ", "write whole units"),
        ("1e3s", "write whole units"),
        ("0x10m", "write whole units"),
        ("+15m", "write whole units"),
        ("15M", "write whole units"),
        ("15min", "write whole units"),
        ("15", "has no unit"),
    ];
    for (ttl, text) in rows {
        refused(&[&ASK[..], &["--ttl", ttl]].concat(), 2, &["error[invalid_ttl]", text]);
    }
    refused(&[&ASK[..], &["--ttl", ""]].concat(), 2, &["error[usage]", "--ttl needs a value"]);
    refused(&[&ASK[..], &["--ttl"]].concat(), 2, &["error[usage]", "--ttl needs a value"]);
}

#[test]
fn a_good_ttl_is_sent_in_seconds() {
    for (ttl, secs) in [("240m", 14_400), ("1h30m", 5_400), ("5s", 5), ("24h", 86_400)] {
        let plane = Scripted::good();
        Home::at(&plane.url).gk([&ASK[..], &["--ttl", ttl]].concat()).exits(0);
        assert_eq!(plane.seen()[0].body["ttlSeconds"], secs, "{ttl}");
    }
}

#[test]
fn a_bad_name_is_refused_and_shown_safely() {
    let long = "x".repeat(300);
    let rows = [
        ("prod; drop table x", "letters, digits, - and _"),
        ("a b sslmode=disable", "letters, digits, - and _"),
        ("рrod", "U+0440"),
        (&long, "at most 63"),
    ];
    for (target, text) in rows {
        let args = ["session", "create", "--role", "app_read", "--ttl", "15m", "--target", target];
        refused(&args, 2, &["error[invalid_name]", text]);
    }
    refused(
        &["session", "create", "--target", "pg-local", "--ttl", "15m", "--role", "App"],
        2,
        &["error[invalid_name]"],
    );
}

#[test]
fn a_bad_reason_is_refused() {
    let (ask, long) = ([&ASK[..], &["--ttl", "15m", "--reason"]].concat(), "r".repeat(100_000));
    for blank in ["", "   "] {
        refused(&[&ask[..], &[blank]].concat(), 2, &["error[reason_required]"]);
    }
    refused(&[&ask[..], &[long.as_str()]].concat(), 2, &["error[reason_too_long]", "at most 1000 characters"]);
    refused(&[&ask[..], &["a\u{1b}[2Jb"]].concat(), 2, &["error[invalid_text]", "U+001B"]);
}

#[test]
fn a_reason_that_a_spreadsheet_would_run_is_taken_as_it_is() {
    let plane = Scripted::good();
    Home::at(&plane.url).gk([&ASK[..], &["--ttl", "15m", "--reason", "=HYPERLINK(\"x\")"]].concat()).exits(0);
    assert_eq!(plane.seen()[0].body["reason"], "=HYPERLINK(\"x\")");
}

#[test]
fn an_unknown_flag_is_named_with_the_one_that_was_meant() {
    refused(&[&ASK[..], &["--tttl", "5m"]].concat(), 2, &["error[usage]", "--tttl", "Did you mean --ttl?"]);
    refused(&["sesion", "list"], 2, &["error[usage]", "session"]);
}

#[test]
fn what_could_not_be_handed_over_is_not_made() {
    let out = [&ASK[..], &["--ttl", "15m", "--out", "nowhere/dsn"]].concat();
    refused(&out, 1, &["error[output_failed]", "nowhere/dsn: there is no directory"]);
    refused(&[&ASK[..], &["--ttl", "15m", "--field", "nope"]].concat(), 2, &["the answer has no `nope`", "sessionId"]);
    let token = ["token", "create", "--actor", "eve", "--scope", "admin", "--out", "nowhere/token"];
    refused(&token, 1, &["there is no directory"]);
}

#[test]
fn hints_fit_what_was_typed() {
    refused(&["session", "list", "psql"], 2, &["unexpected argument `psql`", "See --help."]);
    let exec = ["exec", "--target", "pg-local", "--role", "app_read", "--ttl", "15m", "psql"];
    refused(&exec, 2, &["unexpected argument `psql`", "Put -- before the command."]);
    refused(&["token", "create", "--actor", "eve", "--scope", "god"], 2, &["requester, admin or auditor"]);
    refused(&["token", "revoke", "tok_1"], 2, &["error[invalid_id]", "gk token list"]);
    refused(&["session", "revoke"], 2, &["gk session list", "--mine", "--all --target T"]);
    refused(&["session", "show", ""], 2, &["SESSION needs a value"]);
}

#[test]
fn a_flag_given_twice_never_lets_the_last_one_win() {
    refused(&[&ASK[..], &["--ttl", "5m", "--ttl", "9m"]].concat(), 2, &["--ttl is given twice"]);
    refused(&[&ASK[..], &["--ttl", "5m", "--role", "app_write"]].concat(), 2, &["--role is given twice"]);
}

#[test]
fn an_argument_that_is_no_text_is_refused_without_a_panic() {
    let plane = Scripted::good();
    let bytes = OsString::from_vec(b"pg\xff".to_vec());
    for args in [vec!["session".into(), "show".into(), bytes.clone()], vec![bytes]] {
        Home::at(&plane.url).gk(args).exits(2).silent().says("not valid text");
    }
    assert_eq!(plane.seen().len(), 0);
}

#[test]
fn a_session_id_has_to_be_one_and_whole() {
    refused(&["session", "revoke"], 2, &["expected a session id sess_..., got none"]);
    refused(
        &["session", "revoke", "req_01ARZ3NDEKTSV4RRFFQ69G5FAV"],
        2,
        &["error[invalid_id]", "expected a session id sess_..., got a request id"],
    );
    let id = session().to_string();
    for bad in
        [id.to_lowercase(), id.replacen('1', "I", 1), id[..20].to_owned(), format!(" {id}"), String::from("sess_")]
    {
        refused(&["session", "revoke", &bad], 2, &["error[invalid_id]"]);
    }
}

#[test]
fn a_missing_value_is_named_where_nobody_can_be_asked() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    for (line, flag, next) in [
        ("session create --role app_read --ttl 15m", "--target", "Pass --target; `gk target list` shows yours."),
        ("exec --role app_read --ttl 15m -- true", "--target", "Pass --target; `gk target list` shows yours."),
        ("session create --target shop --ttl 15m", "--role", "Pass --role; `gk target show shop` shows yours."),
        ("session create --target pg-local --role app_read", "--ttl", "Pass --ttl, such as --ttl 15m."),
        ("exec --target pg-local --role app_read -- true", "--ttl", "Pass --ttl, such as --ttl 15m."),
        ("session extend sess_01ARZ3NDEKTSV4RRFFQ69G5FAV --no-input", "--ttl", "Pass --ttl."),
    ] {
        home.gk(words(line)).exits(2).silent().says(&format!("{flag} is missing")).says(next);
    }
    home.file("bin/psql", "#!/bin/sh\n", 0o755);
    let path = format!("{}:/usr/bin:/bin", home.path().join("bin").display());
    home.var("PATH", &path).gk(["connect"]).exits(2).silent().says("TARGET is missing").says("`gk target list`");
    assert_eq!(plane.seen().len(), 0);
}

#[test]
fn an_error_is_one_object_where_a_program_reads() {
    let ran = Home::new().gk(words("session create --ttl 15 --json")).exits(2).silent();
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).expect("one JSON object");
    assert_eq!(error["schema"], "gk.error.v1");
    assert_eq!((&error["code"], error["exitCode"].as_u64()), (&"invalid_ttl".into(), Some(2)));
    for key in ["message", "why", "next", "retryable", "requestId", "docs"] {
        assert!(error.get(key).is_some(), "{key} is always there");
    }
}
