//! Tokens and contexts: saved, found, refused, forgotten.

use std::os::unix::fs::MetadataExt as _;

use gk_shared::problem::ErrorCode;

use crate::scripted::{Reply, Scripted};
use crate::support::{Home, Ran, token};

/// Logs this home in, by a file.
fn login(home: &Home, url: &str) -> Ran {
    let args = ["login", "--with-token", "--address", url, "--store", "file"];
    home.gk_with_stdin(args, format!("{}\n", token()).as_bytes())
}

#[test]
fn login_checks_the_token_saves_it_and_makes_the_context_current() {
    let plane = Scripted::good();
    let home = Home::new();
    let ran = login(&home, &plane.url).exits(0).silent();
    assert!(ran.stderr.contains("as dana until 2026-11-23T02:00:00Z"), "{}", ran.stderr);
    let file = home.path().join(".local/state/gatekeeper/tokens/default.token");
    assert_eq!(file.metadata().expect("is there").mode() & 0o777, 0o600);
    home.gk(["session", "list"]).exits(0);
    let last = plane.seen().pop().expect("was called");
    assert_eq!(last.header("authorization"), Some(format!("Bearer {}", token()).as_str()));
}

#[test]
fn a_token_that_the_server_refuses_is_not_saved() {
    let plane = Scripted::start(|_| Some(Reply::problem(ErrorCode::TokenInvalid, "unknown token")));
    let home = Home::new();
    login(&home, &plane.url).exits(4).silent().says("error[token_invalid]");
    assert!(!home.path().join(".local").exists() && !home.path().join(".config").exists());
}

#[test]
fn without_a_keyring_the_token_goes_into_a_file_with_one_warning() {
    let plane = Scripted::good();
    let home = Home::new();
    let args = ["login", "--with-token", "--address", &plane.url];
    let ran = home.gk_with_stdin(args, token().as_bytes()).exits(0);
    assert_eq!(ran.stderr.matches("warning").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("mode 0600"), "{}", ran.stderr);
    home.gk_with_stdin([&args[..], &["--store", "keyring"]].concat(), token().as_bytes()).exits(4).says("--store file");
}

#[test]
fn store_none_saves_the_context_alone() {
    let plane = Scripted::good();
    let home = Home::new();
    let args = ["login", "--with-token", "--address", &plane.url, "--store", "none", "--context", "prod"];
    home.gk_with_stdin(args, token().as_bytes()).exits(0);
    assert!(!home.path().join(".local").exists());
    home.gk(["session", "list"]).exits(4).says("error[not_logged_in]");
    home.var("GK_TOKEN", &token()).gk(["session", "list"]).exits(0);
}

#[test]
fn nothing_saved_says_how_to_log_in() {
    Home::new().gk(["session", "list"]).exits(4).silent().says("error[not_logged_in]").says("run gk login");
    let plane = Scripted::good();
    let ran = Home::new().var("GK_ADDRESS", &plane.url).gk(["session", "list"]).exits(4);
    ran.says("no token is saved").says("run gk login");
    assert_eq!(plane.seen().len(), 0);
}

#[test]
fn a_bad_token_file_is_refused_and_nothing_of_it_is_shown() {
    let plane = Scripted::good();
    let large = vec![b'z'; 10 * 1024 * 1024];
    let good = format!("{}\n", token());
    let rows: [(&str, &[u8], u32); 7] = [
        ("empty", b"", 0o600),
        ("cut", b"gk_tok_zzz", 0o600),
        ("binary", b"\x7fELF\xff\xfe\0zzz", 0o600),
        ("large", &large, 0o600),
        ("two lines", b"zzz\nzzz", 0o600),
        ("open", good.as_bytes(), 0o644),
        ("no token", b"hunter2zzz", 0o600),
    ];
    for (name, bytes, mode) in rows {
        let home = Home::at(&plane.url);
        let path = home.file(name, bytes, mode);
        let ran = home.var("GK_TOKEN_FILE", &path.display().to_string()).gk(["session", "list"]).exits(4).silent();
        let ran = ran.says("error[bad_token_file]").says(name);
        assert!(!ran.stderr.contains("zzz") && !ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
    Home::at(&plane.url).var("GK_TOKEN_FILE", "/").gk(["session", "list"]).exits(4).says("error[bad_token_file]");
    Home::at(&plane.url).var("GK_TOKEN_FILE", "/no/such").gk(["session", "list"]).exits(4).says("/no/such");
    Home::new().var("GK_ADDRESS", &plane.url).var("GK_TOKEN", "hunter2").gk(["status"]).exits(4).says("GK_TOKEN");
    assert_eq!(plane.seen().len(), 0);
}

#[test]
fn every_refusal_says_which_token_was_used() {
    let plane = Scripted::start(|_| {
        let detail = "the token expired at 2026-11-22T10:00:00Z; it is 2026-11-22T14:00:00Z";
        Some(Reply::problem(ErrorCode::TokenExpired, detail))
    });
    let ran = Home::at(&plane.url).gk(["session", "list"]).exits(4).silent().says("error[token_expired]");
    ran.says("2026-11-22T10:00:00Z").says("the token came from the variable GK_TOKEN");
    let home = Home::at(&plane.url);
    let path = home.file("mine", token(), 0o600).display().to_string();
    home.var("GK_TOKEN_FILE", &path).gk(["session", "list"]).exits(4).says(&format!("{path} (GK_TOKEN_FILE)"));
}

#[test]
fn auth_status_says_who_and_where_the_token_was_found() {
    let plane = Scripted::good();
    let home = Home::new();
    login(&home, &plane.url).exits(0);
    let ran = home.gk(["auth", "status"]).exits(0);
    assert!(ran.stdout.contains("actor    dana\n") && ran.stdout.contains("default.token"), "{}", ran.stdout);
    let body = home.gk(["auth", "status", "--json"]).json();
    assert_eq!((&body["schema"], &body["tokenSource"]), (&"gk.auth.v1".into(), &"file".into()));
    assert_eq!(body["expiresInSeconds"], 43_200);
}

#[test]
fn logout_forgets_the_token_and_keeps_the_context() {
    let plane = Scripted::good();
    let home = Home::new();
    login(&home, &plane.url).exits(0);
    home.gk(["logout"]).exits(0).silent();
    assert!(!home.path().join(".local/state/gatekeeper/tokens/default.token").exists());
    home.gk(["session", "list"]).exits(4).says("error[not_logged_in]");
    assert!(home.gk(["context", "list"]).exits(0).stdout.contains(&plane.url));
    home.gk(["logout"]).exits(0);
}

#[test]
fn a_saved_token_goes_to_its_own_address_alone() {
    let (mine, other) = (Scripted::good(), Scripted::good());
    let home = Home::new();
    login(&home, &mine.url).exits(0);
    home.gk(["session", "list", "--address", &other.url]).exits(4).says("error[not_logged_in]").says(&other.url);
    assert_eq!(other.seen().len(), 0);
    home.gk(["session", "list", "--address", &mine.url]).exits(0);
}

#[test]
fn contexts_are_listed_chosen_and_shown() {
    let (one, two) = (Scripted::good(), Scripted::good());
    let home = Home::new();
    login(&home, &one.url).exits(0);
    let args = ["login", "--with-token", "--address", &two.url, "--store", "file", "--context", "prod"];
    home.gk_with_stdin(args, token().as_bytes()).exits(0);
    let body = home.gk(["context", "list", "--json"]).json();
    assert_eq!(body["contexts"][1]["name"], "prod");
    assert_eq!(body["contexts"][1]["current"], true);
    home.gk(["context", "use", "default"]).exits(0);
    assert_eq!(home.gk(["context", "show", "--field", "address"]).stdout.trim(), one.url);
    assert_eq!(home.gk(["context", "show", "--field", "address", "--context", "prod"]).stdout.trim(), two.url);
    home.gk(["context", "use", "nowhere"]).exits(3).silent().says("gk context list");
    home.gk(["status", "--context", "nowhere"]).exits(3).says("there is: default, prod");
}

#[test]
fn settings_stand_over_each_other_in_the_order_that_is_documented() {
    let home = Home::new().var("GK_ROLE", "app_env");
    home.file(
        "system.toml",
        "address = 'https://system.example'\n[defaults]\nttl = '1h'\ntarget = 'sys'\nrole = 'sys'",
        0o644,
    );
    home.file(".config/gatekeeper/config.toml", "[defaults]\ntarget = 'usr'\nttl = '2h'", 0o600);
    home.file(".gatekeeper.toml", "target = 'prj'", 0o644);
    let body = home.gk(["config", "list", "--json"]).json();
    let found = |key: &str| {
        let all = body["settings"].as_array().expect("a list");
        let one = all.iter().find(|one| one["key"] == key).unwrap_or_else(|| panic!("no {key} in {body}"));
        (one["value"].as_str().expect("text").to_owned(), one["origin"].as_str().expect("text").to_owned())
    };
    assert_eq!(found("target").0, "prj");
    assert_eq!(found("role"), ("app_env".into(), "GK_ROLE".into()));
    assert_eq!(found("ttl").0, "2h");
    assert_eq!(found("address").0, "https://system.example");
    assert!(found("address").1.ends_with("system.toml"));
    let shown = home.gk(["config", "list", "--show-origin"]).exits(0).stdout;
    assert!(shown.contains("ORIGIN") && shown.contains(".gatekeeper.toml"), "{shown}");
}

#[test]
fn a_project_cannot_send_anybody_elsewhere() {
    for bad in ["address = 'https://evil.example'", "token = 'x'", "[contexts.x]\naddress='https://evil.example'"] {
        let home = Home::new();
        home.file(".gatekeeper.toml", bad, 0o644);
        home.gk(["config", "list"]).exits(2).silent().says("error[config_invalid]").says(".gatekeeper.toml");
    }
    let home = Home::new();
    home.file(".gatekeeper.toml", "target = 'x'", 0o666);
    home.gk(["config", "list"]).exits(2).says("error[unsafe_config]");
}

#[test]
fn without_a_home_commands_work_and_logging_in_names_the_place() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    let mut command = home.command(["session", "list"]);
    let ran = Ran::of(command.env_remove("HOME").env_remove("XDG_RUNTIME_DIR").output().expect("gk runs"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut command = home.command(["login", "--with-token", "--address", &plane.url, "--store", "file"]);
    Ran::of(command.env_remove("HOME").output().expect("gk runs")).exits(4);
    let home = Home::new().var("GK_STATE_DIR", "/proc/nowhere").var("GK_CONFIG_DIR", "/proc/nowhere");
    let ran = login(&home, &plane.url).exits(1).silent();
    assert!(ran.stderr.contains("/proc/nowhere") && !ran.stderr.contains(&token()), "{}", ran.stderr);
}
