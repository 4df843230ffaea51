//! The floor: what a login costs on the same server without any of us, `BEGIN; CREATE ROLE; GRANT; COMMIT` by a superuser.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use gk_e2e::{DATABASE, TestPg};
use tokio_postgres::Client;

use crate::stats::Turn;

/// Makes logins by hand. Names are never used twice.
pub(crate) struct Raw {
    clients: Vec<Client>,
    pack: String,
    next: AtomicU32,
}

impl Raw {
    /// One connection for each of `clients`. The logins are members of the pack that sessions are members of.
    pub(crate) async fn prepare(target: &TestPg, clients: usize) -> Self {
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(target.superuser(DATABASE).await);
        }
        let pack = pack_role(&connections[0]).await;
        Self { clients: connections, pack, next: AtomicU32::new(0) }
    }

    /// `each` logins from each of the first `at_once` connections.
    pub(crate) async fn mint(&self, at_once: usize, each: usize) -> Turn {
        let begun = Instant::now();
        let work = self.clients.iter().take(at_once).map(async |client| {
            let mut durations = Vec::with_capacity(each);
            for _ in 0..each {
                let begun = Instant::now();
                self.one(client).await;
                durations.push(begun.elapsed());
            }
            durations
        });
        let durations = join_all(work).await.into_iter().flatten().collect();
        Turn { durations, wall: begun.elapsed() }
    }

    /// One login from any connection, for a load that is not this module's to pace.
    pub(crate) async fn one_of(&self, n: usize) {
        self.one(&self.clients[n % self.clients.len()]).await;
    }

    async fn one(&self, client: &Client) {
        let name = format!("raw_{}", self.next.fetch_add(1, Ordering::Relaxed));
        // As the agent does it: the verifier is made on the client's side, so its price is on both sides of the ratio.
        let verifier = postgres_protocol::password::scram_sha_256(name.as_bytes());
        let sql = format!(
            "-- bench::raw_mint\nBEGIN; CREATE ROLE {name} LOGIN PASSWORD '{verifier}' VALID UNTIL '2100-01-01'; \
             GRANT {} TO {name}; COMMIT",
            self.pack
        );
        client.batch_execute(&sql).await.expect("the superuser may make a role");
    }

    /// Drops all of them.
    pub(crate) async fn clean(&self) {
        self.clients[0]
            .batch_execute(
                "-- bench::raw_drop\nDO $$ DECLARE r name; BEGIN FOR r IN SELECT rolname FROM pg_roles \
                 WHERE rolname ~ '^raw_[0-9]' LOOP EXECUTE format('DROP ROLE %I', r); END LOOP; END $$",
            )
            .await
            .expect("the superuser may drop its roles");
    }
}

/// The role that every session of `app_read` is a member of.
pub(crate) async fn pack_role(superuser: &Client) -> String {
    let sql = "-- bench::pack_role\nSELECT role_name::text FROM gk.pack WHERE name = 'app_read'";
    superuser.query_one(sql, &[]).await.expect("the pack is registered").get(0)
}

/// Waits for all, which run side by side on this task.
pub(crate) async fn join_all<F: Future>(work: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(work).await
}
