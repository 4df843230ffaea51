//! `gk dev` on a directory that has been used: resumed, crashed, thrown away, or in use.

use crate::support::{Home, error, eventually, is_alive, postmaster, psql, psql_ok};
use rustix::process::{Signal, kill_process};

const ADD: &str = "INSERT INTO products (sku, name, category, price) VALUES ('NEW-1', 'New', 'office', 1)";
const COUNT: &str = "SELECT count(*) FROM products";

#[test]
fn a_second_start_goes_on_where_the_first_one_stopped() {
    let home = Home::new();
    let dev = home.dev(&[]);
    let (address, port, token) = (dev.get("/address").to_owned(), dev.postgres_port(), token(&home));
    let dsn = home.session("app_write", "30m");
    psql_ok(&dsn, ADD);
    assert!(dev.stop(Signal::INT).0.success());
    assert!(!psql(&dsn, COUNT).status.success(), "nothing answers after the stop");

    let dev = home.dev(&[]);
    assert_eq!(dev.ready["resumed"], true);
    assert_eq!((dev.get("/address"), dev.postgres_port(), self::token(&home)), (address.as_str(), port, token));
    // A session that has time left lives on, and so does what it wrote.
    assert_eq!(psql_ok(&dsn, COUNT), "241");
    home.gk_ok(&["session", "revoke", "--mine"]);
    assert!(!psql(&dsn, COUNT).status.success());
    home.gk_ok(&["audit", "verify"]);
}

#[test]
fn what_a_kill_9_leaves_is_cleared_and_its_sessions_converge() {
    let home = Home::new();
    let dev = home.dev(&[]);
    let (left, port) = (dev.postmaster(), dev.postgres_port());
    let short = home.session("app_read", "5s");
    let long = home.session("app_read", "30m");
    dev.kill9();
    assert!(is_alive(left), "this test is about a server that outlives its gk");

    let dev = home.dev(&[]);
    assert!(!is_alive(left));
    assert_eq!(dev.postgres_port(), port);
    assert_eq!(psql_ok(&long, COUNT), "240");
    eventually("the session that ended meanwhile is gone", || !psql(&short, COUNT).status.success());
    eventually("nothing is left that should be gone", || {
        home.gk(&["cleanup", "check", "--max-lag", "1s"]).status.success()
    });
    home.gk_ok(&["audit", "verify"]);
}

#[test]
fn a_first_start_that_was_killed_is_finished_by_the_next() {
    let home = Home::new();
    for kill_after_ms in [150, 600, 1500] {
        let data = home.data();
        let args = ["dev", "--json", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
        let mut child = home
            .command(&args)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Wherever it is by then: in initdb, in the seed, or done.
        std::thread::sleep(std::time::Duration::from_millis(kill_after_ms));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let dev = home.dev(&[]);
    let dsn = home.session("app_read", "5m");
    assert_eq!(psql_ok(&dsn, "SELECT count(*) FROM orders"), "75000");
    assert!(dev.stop(Signal::TERM).0.success());
}

#[test]
fn fresh_throws_away_what_was_there_even_under_a_server_that_was_left() {
    let home = Home::new();
    let dev = home.dev(&[]);
    psql_ok(&home.session("app_write", "5m"), ADD);
    let left = dev.postmaster();
    dev.kill9();

    let dev = home.dev(&["--fresh"]);
    assert!(!is_alive(left));
    assert_eq!(dev.ready["resumed"], false);
    assert_eq!(psql_ok(&home.session("app_read", "5m"), COUNT), "240");
    assert_eq!(home.gk_ok(&["session", "list", "--json", "--field", "sessions.0.role"]), "app_read");
}

#[test]
fn a_second_instance_is_told_who_holds_the_directory() {
    let home = Home::new();
    let dev = home.dev(&[]);
    for more in [&["--json"][..], &["--json", "--fresh"]] {
        let data = home.data();
        let args = [&["dev", "--data-dir", data.to_str().unwrap()], more].concat();
        let refused = home.gk(&args);
        assert_eq!(refused.status.code(), Some(6));
        let error = error(&refused);
        assert_eq!(error["code"], "directory_held");
        let said = error["message"].as_str().unwrap();
        let pid = format!("process {}", dev.pid().as_raw_pid());
        assert!(said.contains(&pid) && said.contains(dev.get("/address")), "{said}");
    }
    assert_eq!(psql_ok(&home.session("app_read", "5m"), COUNT), "240", "the first one is none the worse");
}

#[test]
fn a_postgres_that_dies_is_started_again_and_sessions_go_on() {
    let home = Home::new();
    let dev = home.dev(&[]);
    let dsn = home.session("app_read", "15m");
    let died = dev.postmaster();
    kill_process(died, Signal::KILL).unwrap();
    eventually("another server runs", || postmaster(&home.data()).is_some_and(|pid| pid != died && is_alive(pid)));
    eventually("the session works again", || psql(&dsn, COUNT).status.success());
    eventually("new ones are made", || {
        let args =
            ["session", "create", "--target", "pg-local", "--role", "app_read", "--ttl", "5m", "--reason", "again"];
        home.gk(&args).status.success()
    });
    assert!(dev.stop(Signal::TERM).0.success());
}

fn token(home: &Home) -> String {
    std::fs::read_to_string(home.data().join("secrets/dev.token")).unwrap()
}
