//! The ledger's schema: brought up to date by its owner, checked by everybody else before they start.

use std::time::Duration;

use tokio_postgres::Client;

use super::{Ledger, StoreError};
use crate::config::LedgerConfig;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "written by the macro")]
mod embedded {
    refinery::embed_migrations!("../../sql/ledger");
}

/// Two migrations of one ledger at the same time wait for each other on this advisory lock.
const LOCK: i64 = 0x676b_6d69_6772_6174;
/// How long the other one may take.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// Names of the migrations that were run, in order; empty if there was nothing to do.
    pub run: Vec<String>,
    /// Version of the schema now.
    pub version: i64,
}

/// Version of the newest migration in this binary.
#[must_use]
pub fn known_version() -> i64 {
    embedded::migrations::runner().get_migrations().iter().map(|one| i64::from(one.version())).max().unwrap_or(0)
}

/// Brings the ledger's schema up to date. May be repeated, and run by several at once.
///
/// # Errors
/// The ledger does not answer, a migration fails, or it was migrated by a newer binary.
pub async fn migrate(config: &LedgerConfig) -> Result<Migrated, StoreError> {
    let (mut client, connection) = config.pg().connect(config.tls().connector()).await?;
    let driver = tokio::spawn(connection);
    let answer = migrate_on(&mut client).await;
    drop(client);
    // The task ends with its client; how it ended matters to nobody.
    let _ = driver.await;
    answer
}

async fn migrate_on(client: &mut Client) -> Result<Migrated, StoreError> {
    let wait = format!("SET lock_timeout = {}; SET client_min_messages = warning", LOCK_WAIT.as_millis());
    client.batch_execute(&wait).await?;
    // Held until the connection ends.
    client.execute("-- migrate::lock\nSELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    let found = version_in(client).await?;
    if found > known_version() {
        return Err(StoreError::SchemaMismatch { found, known: known_version() });
    }
    let report = embedded::migrations::runner()
        .run_async(client)
        .await
        .map_err(|error| StoreError::Migration(Box::new(error)))?;
    let run = report.applied_migrations().iter().map(ToString::to_string).collect();
    Ok(Migrated { run, version: version_in(client).await? })
}

const EXISTS: &str = "-- migrate::exists\nSELECT to_regclass('refinery_schema_history') IS NOT NULL";
const VERSION: &str = "-- migrate::version\nSELECT coalesce(max(version), 0)::bigint FROM refinery_schema_history";

async fn version_in(client: &Client) -> Result<i64, StoreError> {
    let exists: bool = client.query_one(EXISTS, &[]).await?.try_get(0)?;
    if !exists {
        return Ok(0);
    }
    Ok(client.query_one(VERSION, &[]).await?.try_get(0)?)
}

/// Refuses a ledger that was laid out by another version than this binary's.
///
/// # Errors
/// [`StoreError::SchemaMismatch`] with both numbers.
pub async fn check_schema(ledger: &Ledger) -> Result<(), StoreError> {
    let client = ledger.client(super::Lane::Normal).await?;
    let found = version_in(&client).await?;
    let known = known_version();
    if found == known { Ok(()) } else { Err(StoreError::SchemaMismatch { found, known }) }
}
