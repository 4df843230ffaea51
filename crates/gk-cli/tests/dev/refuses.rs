//! `gk dev` where it cannot run: each refusal names its reason and the way out, and leaves nothing behind.

use crate::support::{Home, error};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

/// Runs `gk dev` with these arguments, which must be refused with this exit code.
fn refused(home: &Home, exit: i32, args: &[&str]) -> Value {
    let data = home.data();
    let mut all = vec!["dev", "--json"];
    if !args.contains(&"--data-dir") {
        all.extend(["--data-dir", data.to_str().unwrap()]);
    }
    all.extend(args);
    let output = home.gk(&all);
    assert_eq!(output.stdout, b"");
    let error = error(&output);
    assert_eq!(output.status.code(), Some(exit), "{error}");
    error
}

fn says(error: &Value, key: &str, words: &str) {
    assert!(error[key].as_str().unwrap().contains(words), "`{words}` in {error}");
}

#[test]
fn without_a_server_it_says_the_one_command_that_brings_it() {
    let home = Home::new();
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let error = refused(&home, 1, &["--pg-bin", empty.to_str().unwrap()]);
    assert_eq!(error["code"], "postgres_not_found");
    says(&error, "message", "has no `postgres`");
    says(&error, "next", gk_local_postgres::install_command());
    assert!(!home.data().exists(), "nothing is made before it is known that it can run");
}

#[test]
fn a_directory_with_somebody_elses_files_is_not_touched() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    fs::write(home.data().join("thesis.txt"), "years of work").unwrap();
    for fresh in [&[][..], &["--fresh"]] {
        let error = refused(&home, 2, fresh);
        assert_eq!(error["code"], "directory_not_ours");
    }
    assert_eq!(fs::read_dir(home.data()).unwrap().count(), 1);
}

#[test]
fn a_taken_address_is_refused_with_its_owner_and_a_free_one() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = refused(&home, 2, &["--listen", &address]);
    assert_eq!(error["code"], "address_in_use");
    says(&error, "message", &format!("{address} is taken by "));
    says(&error, "message", &format!("(process {})", std::process::id()));
    says(&error, "next", "gk dev --listen 127.0.0.1:");
    assert!(!home.data().join("postgres").exists(), "nothing slow is done first");
}

#[test]
fn it_listens_on_this_machine_alone() {
    let home = Home::new();
    for address in ["0.0.0.0:4000", "192.0.2.1:4000", "nonsense", "127.0.0.1:99999"] {
        let error = refused(&home, 2, &["--listen", address]);
        assert_eq!(error["code"], "usage");
        says(&error, "next", "--listen 127.0.0.1:4000");
    }
}

#[test]
fn root_is_told_when_the_server_cannot_reach_the_directory() {
    if !rustix::process::geteuid().is_root() {
        // Only root runs the server as somebody else.
        return;
    }
    let home = Home::new();
    let private = home.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    let error = refused(&home, 2, &["--data-dir", private.join("dev").to_str().unwrap()]);
    assert_eq!(error["code"], "directory_unusable");
    says(&error, "message", private.to_str().unwrap());
    says(&error, "next", "--data-dir /var/lib/gatekeeper-dev");
    assert_eq!(fs::read_dir(&private).unwrap().count(), 0);
}
