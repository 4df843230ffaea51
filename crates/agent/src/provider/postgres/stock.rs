//! The warm stock: for each secret that waits here a role waits on the target, so that a mint pays no hash rounds.
//!
//! Always holds: nothing depends on it. A role waits as long as the connection that made it, so when that breaks, the
//! secrets go too; a target that takes no spares, or has no room for them, is asked again later, and mints meanwhile.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::types::Type;
use tokio_util::sync::CancellationToken;

use super::connect::{Purpose, open};
use super::endpoints::Server;
use super::{PostgresTarget, one, query};
use crate::provider::error::ProviderError;

const SQL: &str = "-- provider::stock\nSELECT gk.stock($1)";
/// After a target could not be reached.
const RETRY: Duration = Duration::from_secs(10);
/// After a target took no more.
const FULL: Duration = Duration::from_secs(60);
/// After a target refused: most likely its helpers are older than this agent.
const REFUSED: Duration = Duration::from_secs(600);

/// The connection that the spares depend on.
#[derive(Default)]
struct Shelf {
    client: Option<Client>,
    /// The server that it leads to.
    server: Option<Arc<Server>>,
    /// Not asked before.
    again: Option<Instant>,
}

impl PostgresTarget {
    /// Keeps secrets ready, and on the target roles that have them, until `stop` is cancelled.
    pub(crate) async fn keep_stock(&self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.fill()).await;
    }

    async fn fill(&self) -> Infallible {
        let mut shelf = Shelf::default();
        loop {
            self.secrets.wanted().await;
            if let Err(error) = shelf.reach(self).await {
                tracing::debug!(target_name = %self.config.name, %error, "no role can be made ahead");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            // Only at the end of the process is none to be had.
            let Ok(secret) = self.secrets.made().await else { std::future::pending().await };
            shelf.put(&secret.verifier).await;
            self.secrets.add(secret);
        }
    }
}

impl Shelf {
    /// Connects if that is needed, to where the target is written. What waited over the old connection waits no longer.
    async fn reach(&mut self, target: &PostgresTarget) -> Result<(), ProviderError> {
        let server = target.pools.servers.written();
        let same = self.server.as_ref().is_some_and(|known| Arc::ptr_eq(known, server));
        if !same || self.client.as_ref().is_none_or(Client::is_closed) {
            target.secrets.clear();
            let database = &target.config.database;
            *self = Self::default();
            self.client = Some(open(&target.config, server.place(), (database, Purpose::Helpers)).await?);
            self.server = Some(Arc::clone(server));
        }
        Ok(())
    }

    /// Has a role made. Without it the secret is as good, and its mint takes a little longer.
    async fn put(&mut self, verifier: &str) {
        let (Some(client), None) = (&self.client, self.again.filter(|again| *again > Instant::now())) else { return };
        let pause = match stock(client, verifier).await.as_deref() {
            Ok("made") => None,
            Ok(_) => Some(FULL),
            Err(error) => {
                tracing::info!(%error, "no role was made ahead; if the helpers are older, run the bootstrap again");
                Some(REFUSED)
            }
        };
        self.again = pause.map(|pause| Instant::now() + pause);
    }
}

async fn stock(client: &Client, verifier: &str) -> Result<String, ProviderError> {
    Ok(one(query(client, SQL, &[(&verifier, Type::TEXT)]).await?)?.try_get(0)?)
}
