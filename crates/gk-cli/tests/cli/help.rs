//! What `gk` says about itself: every help text, the exit codes, the codes of errors, completions and manual pages.

use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;

use crate::support::{Home, words};

/// Every command there is, in the order of `gk --help`.
const COMMANDS: &[&str] = &[
    "",
    "login",
    "logout",
    "auth",
    "auth status",
    "context",
    "context list",
    "context use",
    "context show",
    "config",
    "config list",
    "session",
    "session create",
    "session list",
    "session show",
    "session dsn",
    "session extend",
    "session revoke",
    "exec",
    "connect",
    "target",
    "target list",
    "target show",
    "role",
    "role list",
    "role show",
    "audit",
    "audit tail",
    "audit show",
    "audit search",
    "audit export",
    "audit verify",
    "trace",
    "cleanup",
    "cleanup check",
    "cleanup run",
    "token",
    "token create",
    "token list",
    "token revoke",
    "agent",
    "agent list",
    "agent show",
    "agent drain",
    "agent enroll",
    "agent revoke",
    "status",
    "doctor",
    "explain",
    "version",
    "completion",
    "man",
    #[cfg(feature = "dev")]
    "dev",
];

#[test]
fn help_texts_are_what_was_agreed() {
    let home = Home::new();
    for &command in COMMANDS {
        let ran = home.gk(words(command).into_iter().chain(["-h"])).exits(0);
        assert_eq!(ran.stderr, "", "help is the datum");
        let name = if command.is_empty() { "gk".to_owned() } else { command.replace(' ', "_") };
        // `gk dev` is a feature of the build.
        let text: String =
            ran.stdout.lines().filter(|line| !line.starts_with("  dev ")).map(|line| format!("{line}\n")).collect();
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn help_of_a_command_can_be_asked_for_in_two_ways() {
    let home = Home::new();
    let flag = home.gk(["session", "revoke", "--help"]).exits(0).stdout;
    assert_eq!(home.gk(["help", "session", "revoke"]).exits(0).stdout.trim_end(), flag.trim_end());
    home.gk(["help", "sesion"]).exits(2).silent().says("there is no command `gk sesion`");
}

#[test]
fn the_exit_codes_are_frozen() {
    insta::assert_snapshot!(Home::new().gk(["help", "exit-codes"]).exits(0).stdout, @r"
      0  all went well
      1  another failure; the error code says which
      2  wrong or missing input; nothing was sent
      3  not found, or not yours to see
      4  not logged in, or the token has expired
      5  denied by policy or by a reviewer
      6  conflicts with what already is
      8  pending: waits for an approval, or the wait timed out
      9  unavailable; safe to retry
     10  a check found something
    125  gk exec: gk failed before the command ran
    126  gk exec: the command is not executable
    127  gk exec: no such command
    129  the terminal went away (SIGHUP)
    130  interrupted by Ctrl-C
    143  ended by kill (SIGTERM)
    ");
    let json = Home::new().gk(["help", "exit-codes", "--json"]).json();
    assert_eq!(json["exitCodes"].as_array().map(Vec::len), Some(ExitCode::ALL.len()));
}

#[test]
fn every_code_is_explained() {
    let home = Home::new();
    for code in ErrorCode::ALL {
        let ran = home.gk(["explain", code.as_str()]).exits(0);
        assert!(ran.stdout.contains(code.meaning()) && ran.stdout.contains(code.next()), "{}", ran.stdout);
    }
    assert_eq!(home.gk(["explain"]).exits(0).stdout.lines().count(), ErrorCode::ALL.len());
    home.gk(["explain", "nonsense"]).exits(3).silent().says("gk explain");
}

#[test]
fn completions_and_manual_pages_are_made_for_what_there_is() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(home.gk(["completion", shell]).exits(0).stdout.contains("session"), "{shell}");
    }
    let version = format!("\"gk {}\"", env!("CARGO_PKG_VERSION"));
    assert!(home.gk(["man", "exec"]).exits(0).stdout.contains(&version), "pages carry the version");
    assert!(home.gk(["man"]).exits(0).stdout.contains(".TH gk 1"));
    assert!(home.gk(["man", "session", "create"]).exits(0).stdout.contains("idempotency"));
}
