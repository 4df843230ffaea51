//! Real clusters: made, started, stopped, killed, found again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use gk_local_postgres::{Account, Binaries, Cluster, InitOptions, Search, Server, StartOptions, Stopped, find};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A directory that the server's account may enter, whoever runs the tests.
fn scratch() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("gk-local-postgres-").tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    dir
}

fn binaries() -> Binaries {
    find(&Search::system(None, option_env!("PATH").map(Into::into))).unwrap()
}

async fn new_cluster(data_dir: &Path) -> Cluster {
    let options = InitOptions::new("boss", "canary-password".into()).without_sync();
    Cluster::init(binaries(), data_dir, &options).await.unwrap()
}

fn quick() -> StartOptions {
    StartOptions::default().with("fsync", "off")
}

fn select_one(server: &Server, password: &str) -> std::process::Output {
    Command::new(binaries().program("psql"))
        .args(["-XAtc", "select 6 * 7", "-h", "127.0.0.1", "-U", "boss", "-d", "postgres", "-p"])
        .arg(server.port().to_string())
        .env("PGPASSWORD", password)
        .output()
        .unwrap()
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 10 s until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn a_new_cluster_takes_its_password_and_no_other() {
    let dir = scratch();
    let data_dir = dir.path().join("data");
    let server = new_cluster(&data_dir).await.start(&quick()).await.unwrap();
    let right = select_one(&server, "canary-password");
    assert_eq!(String::from_utf8_lossy(&right.stdout), "42\n", "{}", String::from_utf8_lossy(&right.stderr));
    let wrong = select_one(&server, "canary-passwore");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("password authentication failed"));
    let (_, stopped) = server.stop().await.unwrap();
    assert_eq!(stopped, Stopped::Clean);
}

#[tokio::test]
async fn what_a_cluster_leaves_on_disk_is_private_and_holds_no_password() {
    let dir = scratch();
    let data_dir = dir.path().join("data");
    let server = new_cluster(&data_dir).await.start(&quick()).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir), 0o700);
    assert_eq!(mode(server.log_path()), 0o600);
    let mut names: Vec<String> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["data", "data.lock", "data.log"]);
    drop(server);
    Cluster::open(binaries(), &data_dir).unwrap().remove().unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn root_hands_the_server_to_somebody_unprivileged() {
    let dir = scratch();
    let data_dir = dir.path().join("data");
    let server = new_cluster(&data_dir).await.start(&quick()).await.unwrap();
    let owner = std::fs::metadata(&data_dir).unwrap().uid();
    match Account::for_new_cluster().unwrap() {
        Account::Own => assert_eq!(owner, std::fs::metadata(dir.path()).unwrap().uid()),
        Account::Unprivileged { uid, .. } => {
            assert_eq!(owner, uid);
            assert_ne!(uid, 0);
        }
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn dropping_a_server_ends_it() {
    let dir = scratch();
    let server = new_cluster(&dir.path().join("data")).await.start(&quick()).await.unwrap();
    let port = server.port();
    assert!(answers(port));
    drop(server);
    assert!(!answers(port));
}

#[tokio::test]
async fn a_killed_server_starts_again_on_its_port_with_what_was_committed() {
    let dir = scratch();
    let server = new_cluster(&dir.path().join("data")).await.start(&quick()).await.unwrap();
    let port = server.port();
    let cluster = server.kill().unwrap();
    wait_until("the killed server is gone", || !answers(port));
    let server = cluster.start(&quick().on_port(port)).await.unwrap();
    assert_eq!(server.port(), port);
    assert_eq!(String::from_utf8_lossy(&select_one(&server, "canary-password").stdout), "42\n");
}

#[tokio::test]
async fn a_server_that_outlived_its_owner_is_stopped_by_the_next_start() {
    let dir = scratch();
    let data_dir = dir.path().join("data");
    let first = new_cluster(&data_dir).await.start(&quick()).await.unwrap();
    let (orphan, port) = (first.pid(), first.port());
    // As after `kill -9` of the owner: the server lives on, its lock is free, nobody waits for it.
    first.abandon();
    assert!(answers(port));

    let second = Cluster::open(binaries(), &data_dir).unwrap().start(&quick()).await.unwrap();
    assert_ne!(second.pid(), orphan);
    assert!(!answers(port) || second.port() == port);
    assert_eq!(String::from_utf8_lossy(&select_one(&second, "canary-password").stdout), "42\n");
}

#[tokio::test]
async fn a_cluster_has_one_holder_at_a_time() {
    let dir = scratch();
    let data_dir = dir.path().join("data");
    let server = new_cluster(&data_dir).await.start(&quick()).await.unwrap();
    let refused = Cluster::open(binaries(), &data_dir).unwrap_err();
    assert_eq!(refused.code(), "data_dir_in_use");
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    drop(server);
    Cluster::open(binaries(), &data_dir).unwrap();
}

#[tokio::test]
async fn a_copy_lives_beside_its_template() {
    let dir = scratch();
    let template = dir.path().join("template");
    drop(new_cluster(&template).await);
    let copy = Cluster::copy(binaries(), &template, &dir.path().join("copy")).unwrap();
    let one = copy.start(&quick()).await.unwrap();
    let two = Cluster::open(binaries(), &template).unwrap().start(&quick()).await.unwrap();
    assert_ne!(one.port(), two.port());
    assert_eq!(String::from_utf8_lossy(&select_one(&one, "canary-password").stdout), "42\n");
    assert_eq!(String::from_utf8_lossy(&select_one(&two, "canary-password").stdout), "42\n");
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_the_end_of_its_log() {
    let dir = scratch();
    let cluster = new_cluster(&dir.path().join("data")).await;
    let refused = cluster.start(&quick().with("no_such_setting", "1")).await.unwrap_err();
    assert_eq!(refused.code(), "postgres_start_failed");
    assert!(refused.to_string().contains("unrecognized configuration parameter \"no_such_setting\""), "{refused}");
}

#[tokio::test]
async fn a_taken_port_that_was_asked_for_is_an_error_that_says_so() {
    let dir = scratch();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cluster = new_cluster(&dir.path().join("data")).await;
    let refused = cluster.start(&quick().on_port(taken.local_addr().unwrap().port())).await.unwrap_err();
    assert!(refused.to_string().contains("Address already in use"), "{refused}");
}

#[tokio::test]
async fn nothing_is_made_where_something_lies_already() {
    let dir = scratch();
    let data_dir = dir.path().join("data");
    std::fs::create_dir(&data_dir).unwrap();
    std::fs::write(data_dir.join("thesis.txt"), "years of work").unwrap();
    let options = InitOptions::new("boss", "x".into()).without_sync();
    let refused = Cluster::init(binaries(), &data_dir, &options).await.unwrap_err();
    assert_eq!(refused.code(), "data_dir_not_empty");
    assert!(data_dir.join("thesis.txt").exists());
    assert_eq!(Cluster::open(binaries(), &data_dir).unwrap_err().code(), "data_dir_not_a_cluster");
}

#[tokio::test]
async fn a_cluster_of_another_major_version_is_not_touched() {
    let dir = scratch();
    let data_dir = dir.path().join("data");
    drop(new_cluster(&data_dir).await);
    std::fs::write(data_dir.join("PG_VERSION"), "12\n").unwrap();
    let refused = Cluster::open(binaries(), &data_dir).unwrap_err();
    assert_eq!(refused.code(), "data_dir_other_major");
    assert!(refused.to_string().contains("made by PostgreSQL 12"), "{refused}");
}

#[tokio::test]
async fn a_cluster_is_discarded_with_the_server_that_outlived_its_owner() {
    let dir = scratch();
    let data_dir = dir.path().join("data");
    let server = new_cluster(&data_dir).await.start(&quick()).await.unwrap();
    let port = server.port();
    server.abandon();
    // Binaries of this version are not needed: another major's cluster goes as well.
    std::fs::write(data_dir.join("PG_VERSION"), "9\n").unwrap();
    gk_local_postgres::discard(&data_dir).await.unwrap();
    assert!(!answers(port));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    gk_local_postgres::discard(&data_dir).await.unwrap();
}
