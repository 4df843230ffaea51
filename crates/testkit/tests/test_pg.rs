//! A test's own cluster: quick, private, and gone afterwards.

use gk_testkit::{TestPg, Version, eventually, pg_versions};
use std::time::{Duration, Instant};

#[tokio::test]
async fn each_version_starts_and_says_so() {
    for version in pg_versions() {
        let pg = TestPg::start(version).await;
        let row = pg.superuser("postgres").await.query_one("SHOW server_version_num", &[]).await.unwrap();
        let number: String = row.get(0);
        assert_eq!(number.parse::<u32>().unwrap() / 10_000, u32::from(pg.major()));
    }
}

#[tokio::test]
async fn roles_of_one_test_are_unknown_to_another() {
    let (one, two) = (TestPg::start(Version::Before16).await, TestPg::start(Version::Before16).await);
    let admin = one.superuser("postgres").await;
    admin.batch_execute("CREATE ROLE ada LOGIN PASSWORD 'pw'").await.unwrap();
    one.create_database("ledger").await;
    one.connect("ada", "pw", "ledger").await.unwrap();
    assert!(one.connect("ada", "px", "ledger").await.is_err());
    assert!(two.connect("ada", "pw", "postgres").await.is_err());
}

#[tokio::test]
async fn a_dropped_cluster_leaves_nothing() {
    let pg = TestPg::start(Version::From16).await;
    let (dir, port) = (pg.data_dir().parent().unwrap().to_path_buf(), pg.port());
    assert!(dir.exists());
    drop(pg);
    assert!(!dir.exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[tokio::test]
async fn what_was_committed_outlives_kill_9() {
    let mut pg = TestPg::with(Version::From16).durable().start().await;
    let port = pg.port();
    let before = pg.superuser("postgres").await;
    before.batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)").await.unwrap();
    pg.kill9();
    assert!(pg.pid().is_none());
    let lost = eventually(Duration::from_secs(5), "the old connection is cut", async || {
        match before.query("SELECT 1", &[]).await {
            Ok(_) => Err("it still answers"),
            Err(_) => Ok(true),
        }
    });
    assert!(lost.await);
    pg.start_again().await;
    assert_eq!(pg.port(), port);
    let row = pg.superuser("postgres").await.query_one("SELECT n FROM kept", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
}

#[tokio::test]
async fn settings_and_files_of_a_test_hold_over_a_restart() {
    let options = TestPg::with(Version::Before16).setting("log_statement", "all");
    let mut pg = options.setting("max_prepared_transactions", "3").start().await;
    pg.create_database("app").await;
    assert!(pg.log_text().contains("CREATE DATABASE app"));
    pg.write_file("postgresql.auto.conf", "work_mem = '5MB'\n");
    pg.restart().await;
    let admin = pg.superuser("app").await;
    for (setting, wanted) in [("max_prepared_transactions", "3"), ("work_mem", "5MB"), ("fsync", "off")] {
        let row = admin.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), wanted, "{setting}");
    }
}

#[tokio::test]
async fn psql_of_the_same_version_is_at_hand() {
    let pg = TestPg::start(Version::From16).await;
    let output = std::process::Command::new(pg.psql())
        .args(["-XAtc", "SELECT current_user", &pg.superuser_dsn("postgres")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "postgres\n");
}

#[tokio::test]
async fn a_cluster_is_up_in_a_moment() {
    // The first may have to make the template.
    drop(TestPg::start(Version::Before16).await);
    let start = Instant::now();
    let pg = TestPg::start(Version::Before16).await;
    let took = start.elapsed();
    drop(pg);
    // Generous: the machine has two cores and other tests. A cluster made by `initdb` would take longer than this.
    assert!(took < Duration::from_secs(3), "{took:?}");
}
