//! Health: version, helpers, packs and clock of a target, in one round trip.

use std::time::Instant;

use futures_util::future::join;
use gk_shared::wire::agent::TargetPack;
use tokio_postgres::Row;

use super::{PostgresTarget, one, query};
use crate::provider::Health;
use crate::provider::error::ProviderError;

const ABOUT: &str = "-- provider::health\n\
    SELECT split_part(current_setting('server_version'), ' ', 1), gk.version(), gk.clock()";
/// `gk.clock` moves the mark below which the target's clock never goes back; who only looks must not.
const ABOUT_READ_ONLY: &str = "-- provider::look\n\
    SELECT split_part(current_setting('server_version'), ' ', 1), gk.version(), clock_timestamp()";
const PACKS: &str = "-- provider::health packs\nSELECT name, version, digest, enabled, fault FROM gk.packs()";

pub(super) async fn health(target: &PostgresTarget) -> Result<Health, ProviderError> {
    ask(target, ABOUT).await
}

impl PostgresTarget {
    /// The same, and nothing is written there.
    pub(crate) async fn look(&self) -> Result<Health, ProviderError> {
        ask(self, ABOUT_READ_ONLY).await
    }
}

async fn ask(target: &PostgresTarget, about: &str) -> Result<Health, ProviderError> {
    let client = target.pools.urgent.get().await?;
    let (about, packs) = join(query(&client, about, &[]), query(&client, PACKS, &[])).await;
    let about = one(about?)?;
    let at = about.try_get(2)?;
    target.clock.learn(at, Instant::now());
    let packs = packs?.iter().map(pack).collect::<Result<_, _>>()?;
    Ok(Health { server_version: about.try_get(0)?, helpers_version: about.try_get(1)?, packs, at })
}

fn pack(row: &Row) -> Result<TargetPack, ProviderError> {
    let enabled: bool = row.try_get("enabled")?;
    let fault: Option<String> = row.try_get("fault")?;
    Ok(TargetPack {
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        digest: row.try_get("digest")?,
        fault: fault.or_else(|| (!enabled).then(|| "it is not enabled".to_owned())),
    })
}
