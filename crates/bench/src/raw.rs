//! The floor: what a login costs on the same server without any of us, `BEGIN; CREATE ROLE; GRANT; COMMIT` by a superuser.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gk_e2e::TestPg;
use tokio_postgres::Client;

/// Makes logins by hand. Names are never used twice, and all are dropped between rounds.
pub(crate) struct Raw {
    clients: Vec<Client>,
    next: Arc<AtomicU32>,
}

impl Raw {
    /// One connection for each of `clients`, and a role to grant.
    pub(crate) async fn prepare(target: &TestPg, database: &str, clients: usize) -> Self {
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(target.superuser(database).await);
        }
        connections[0]
            .batch_execute("-- bench::raw_pack\nCREATE ROLE raw_pack NOLOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO raw_pack")
            .await
            .expect("the superuser may make a role");
        Self { clients: connections, next: Arc::new(AtomicU32::new(0)) }
    }

    /// `each` logins from each of the first `at_once` connections.
    pub(crate) async fn round(&self, at_once: usize, each: usize) -> (Vec<Duration>, Duration) {
        let begun = Instant::now();
        let work = self.clients.iter().take(at_once).map(|client| self.mints(client, each));
        let durations = join_all(work).await.into_iter().flatten().collect();
        let wall = begun.elapsed();
        self.drop_all().await;
        (durations, wall)
    }

    async fn mints(&self, client: &Client, each: usize) -> Vec<Duration> {
        let mut durations = Vec::with_capacity(each);
        for _ in 0..each {
            let name = format!("raw_{}", self.next.fetch_add(1, Ordering::Relaxed));
            // As the agent does it: the verifier is made on the client's side, so its price is on both sides of the ratio.
            let begun = Instant::now();
            let verifier = postgres_protocol::password::scram_sha_256(name.as_bytes());
            let sql = format!(
                "-- bench::raw_mint\nBEGIN; CREATE ROLE {name} LOGIN PASSWORD '{verifier}' VALID UNTIL '2100-01-01'; \
                 GRANT raw_pack TO {name}; COMMIT"
            );
            client.batch_execute(&sql).await.expect("the superuser may make a role");
            durations.push(begun.elapsed());
        }
        durations
    }

    async fn drop_all(&self) {
        self.clients[0]
            .batch_execute(
                "-- bench::raw_drop\nDO $$ DECLARE r name; BEGIN FOR r IN SELECT rolname FROM pg_roles \
                 WHERE rolname ~ '^raw_[0-9]' LOOP EXECUTE format('DROP ROLE %I', r); END LOOP; END $$",
            )
            .await
            .expect("the superuser may drop its roles");
    }
}

/// Waits for all, which run side by side on this task.
pub(crate) async fn join_all<F: Future>(work: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(work).await
}
