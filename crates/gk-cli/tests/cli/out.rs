//! `--out`: a secret goes into a file of mode 0600, whole or not at all, and nothing is made that has nowhere to go.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::json;

use crate::scripted::{Reply, Scripted};
use crate::support::{Home, Ran};

/// An agent that was enrolled.
fn enrolled() -> serde_json::Value {
    json!({
        "agentId": "agt_01ARZ3NDEKTSV4RRFFQ69G5FAV", "name": "db-agent", "targets": ["shop"],
        "token": format!("gk_tok_{}", "s".repeat(43)), "expiresAt": "2027-02-20T00:00:00Z",
    })
}

/// A control plane that enrols agents and has an empty log.
fn plane() -> Scripted {
    Scripted::start(|seen| {
        let page = json!({ "events": [], "nextAfter": 0, "more": false, "unsealed": 0 });
        match (seen.method.as_str(), seen.path.as_str()) {
            ("POST", "/v1/agents") => Some(Reply::json(201, &enrolled())),
            ("GET", "/v1/audit/checkpoints") => Some(empty_log()),
            ("GET", "/v1/audit/events") => Some(Reply::json(200, &page)),
            _ => None,
        }
    })
}

/// Where an empty log stands that nobody signs.
fn empty_log() -> Reply {
    Reply::json(200, &json!({ "origin": "gatekeeper/a", "size": 0, "hash": "0".repeat(64) }))
}

fn enroll(home: &Home, out: &str) -> Ran {
    home.gk(["agent", "enroll", "db-agent", "--target", "shop", "--out", out])
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("is there").permissions().mode() & 0o777
}

#[test]
fn the_token_of_an_agent_goes_into_a_private_file_and_nowhere_else() {
    let plane = plane();
    let home = Home::at(&plane.url);
    for _ in 0..2 {
        let ran = enroll(&home, "agent.token").exits(0).silent();
        assert!(!ran.stderr.contains("gk_tok_"), "{}", ran.stderr);
    }
    let path = home.path().join("agent.token");
    assert_eq!(mode(&path), 0o600);
    assert!(std::fs::read_to_string(&path).expect("reads").starts_with("gk_tok_"));
}

#[test]
fn nobody_is_enrolled_whose_token_has_nowhere_to_go() {
    let plane = plane();
    let home = Home::at(&plane.url);
    let wide = home.file("wide", "old", 0o644);
    std::fs::create_dir(home.path().join("directory")).expect("makes it");
    symlink(&wide, home.path().join("link")).expect("links");
    let told = [
        ("wide", "wide can be read by others, so it is not written over"),
        ("directory", "directory is no plain file"),
        ("link", "link is no plain file"),
        ("none/agent.token", "there is no directory"),
        // Nobody, root included, can make a file there.
        ("/proc/agent.token", "nothing can be written in /proc"),
    ];
    for (out, why) in told {
        enroll(&home, out).silent().says(why).says("name another file");
    }
    enroll(&home, "wide").exits(2).says("error[unsafe_config]");
    enroll(&home, "none/agent.token").exits(1).says("error[output_failed]");
    assert_eq!(plane.seen().len(), 0, "nothing was asked of the control plane");
    assert_eq!(std::fs::read_to_string(&wide).expect("reads"), "old");
}

#[test]
fn a_token_that_could_not_be_written_after_all_is_told_as_lost() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("agent.token");
    let meanwhile = path.clone();
    let plane = Scripted::start(move |seen| {
        if !seen.is("POST", "/v1/agents") {
            return None;
        }
        std::fs::create_dir(&meanwhile).expect("makes it");
        Some(Reply::json(201, &enrolled()))
    });
    let ran = enroll(&Home::at(&plane.url), path.to_str().expect("text")).exits(2).silent();
    let ran = ran.says("db-agent is enrolled and its token is lost: enrol it again");
    assert!(!ran.stderr.contains("gk_tok_"), "{}", ran.stderr);
}

#[test]
fn an_export_replaces_a_file_and_nothing_else() {
    let plane = plane();
    let home = Home::at(&plane.url);
    let export = |out: &str| home.gk(["audit", "export", "--out", out]);
    home.file("log.ndjson", "old", 0o644);
    export("log.ndjson").exits(0).silent();
    let path = home.path().join("log.ndjson");
    assert_eq!((mode(&path), std::fs::read_to_string(&path).expect("reads").as_str()), (0o600, ""));
    let asked = plane.seen().len();
    symlink(&path, home.path().join("link")).expect("links");
    export("link").silent().says("link is no plain file").says("name another file");
    export("none/log.ndjson").exits(1).silent().says("error[output_failed]").says("name another file");
    export("/proc/log.ndjson").exits(1).silent().says("error[output_failed]");
    assert_eq!(plane.seen().len(), asked, "no page is read for a file that cannot be");
}

#[test]
fn an_export_that_breaks_off_leaves_the_file_as_it_was() {
    let plane = Scripted::start(|seen| match seen.path.as_str() {
        "/v1/audit/checkpoints" => Some(empty_log()),
        _ => Some(Reply::text(500, "no")),
    });
    let home = Home::at(&plane.url);
    home.file("log.ndjson", "old", 0o600);
    assert_ne!(home.gk(["audit", "export", "--out", "log.ndjson"]).silent().code, 0);
    assert_eq!(std::fs::read_to_string(home.path().join("log.ndjson")).expect("reads"), "old");
    let left = std::fs::read_dir(home.path()).expect("reads").flatten().filter(|file| file.path().is_file()).count();
    assert_eq!(left, 1, "no half of a file stays behind");
}
