//! What tests do to a hot standby: let it fall behind, catch up, take over.

use crate::eventually::eventually;
use crate::pg::TestPg;
use std::time::Duration;
use tokio_postgres::types::PgLsn;

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);

impl TestPg {
    /// Waits until a standby has replayed all that this server has written so far.
    pub async fn followed_by(&self, standby: &Self) {
        let written = "-- standby::written\nSELECT pg_current_wal_flush_lsn()";
        let written: PgLsn = self.answer(written).await;
        eventually(SOON, "the standby catches up", async || {
            let replayed = "-- standby::replayed\nSELECT coalesce(pg_last_wal_replay_lsn(), '0/0')";
            let replayed: PgLsn = standby.answer(replayed).await;
            if replayed >= written { Ok(()) } else { Err(format!("{replayed} of {written}")) }
        })
        .await;
    }

    /// This standby goes on receiving and applies nothing, until [`TestPg::resume_replay`].
    pub async fn pause_replay(&self) {
        self.superuser("postgres").await.batch_execute("SELECT pg_wal_replay_pause()").await.expect("it is a standby");
        eventually(SOON, "replay is paused", async || {
            let state: String = self.answer("-- standby::pause_state\nSELECT pg_get_wal_replay_pause_state()").await;
            if state == "paused" { Ok(()) } else { Err(state) }
        })
        .await;
    }

    /// This standby applies again.
    pub async fn resume_replay(&self) {
        self.superuser("postgres").await.batch_execute("SELECT pg_wal_replay_resume()").await.expect("it is a standby");
    }

    /// This standby receives nothing any more: what its source writes from now on is lost if it takes over.
    pub async fn stop_following(&self) {
        let superuser = self.superuser("postgres").await;
        superuser.batch_execute("ALTER SYSTEM SET primary_conninfo = ''").await.expect("a standby takes settings");
        superuser.batch_execute("SELECT pg_reload_conf()").await.expect("a standby reads them again");
        eventually(SOON, "nothing is received any more", async || {
            let receivers: i64 = self.answer("-- standby::receivers\nSELECT count(*) FROM pg_stat_wal_receiver").await;
            if receivers == 0 { Ok(()) } else { Err(format!("{receivers} receivers")) }
        })
        .await;
    }

    /// This standby becomes a primary, with what it has received.
    pub async fn promote(&self) {
        let promoted: bool = self.answer("-- standby::promote\nSELECT pg_promote(true, 60)").await;
        assert!(promoted, "it was not promoted within a minute");
    }

    async fn answer<T>(&self, sql: &str) -> T
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let row = self.superuser("postgres").await.query_one(sql, &[]).await;
        row.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
    }
}
