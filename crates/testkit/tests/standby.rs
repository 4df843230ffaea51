//! Standbys and backups of a test's own cluster, on both lines of versions.

use gk_testkit::{TestPg, pg_versions};

async fn numbers(pg: &TestPg) -> Vec<i32> {
    let rows =
        pg.superuser("postgres").await.query("SELECT n FROM kept ORDER BY n", &[]).await.expect("the table is there");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn keep(pg: &TestPg, n: i32) {
    let sql = format!("CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES ({n})");
    pg.superuser("postgres").await.batch_execute(&sql).await.expect("the table takes a number");
}

#[tokio::test]
async fn a_standby_follows_falls_behind_catches_up_and_takes_over_with_what_it_has() {
    for version in pg_versions() {
        let mut primary = TestPg::start(version).await;
        keep(&primary, 1).await;
        let standby = primary.standby().await;
        keep(&primary, 2).await;
        primary.followed_by(&standby).await;
        assert_eq!(numbers(&standby).await, [1, 2]);

        standby.pause_replay().await;
        keep(&primary, 3).await;
        assert_eq!(numbers(&standby).await, [1, 2]);
        standby.resume_replay().await;
        primary.followed_by(&standby).await;
        assert_eq!(numbers(&standby).await, [1, 2, 3]);

        standby.stop_following().await;
        keep(&primary, 4).await;
        primary.kill9();
        standby.promote().await;
        keep(&standby, 5).await;
        assert_eq!(numbers(&standby).await, [1, 2, 3, 5]);
    }
}

#[tokio::test]
async fn a_restored_server_holds_what_the_backup_held_on_the_same_port() {
    for version in pg_versions() {
        let mut pg = TestPg::start(version).await;
        keep(&pg, 1).await;
        let (backup, port) = (pg.backup().await, pg.port());
        keep(&pg, 2).await;
        for _ in 0..2 {
            pg.restore(&backup).await;
            assert_eq!((numbers(&pg).await, pg.port()), (vec![1], port));
            keep(&pg, 3).await;
        }
    }
}
