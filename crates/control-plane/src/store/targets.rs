//! Targets, as agents last saw them.

use gk_shared::ids::TargetId;
use gk_shared::names::{PackName, TargetName};
use gk_shared::wire::agent::EndpointHealth;
use gk_shared::wire::catalog::TargetView;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::agents::ONLINE_SECONDS;
use super::row::Reader;
use super::{Ledger, StoreError};

/// A target and the packs that can be used there.
#[derive(Debug, Clone)]
pub struct TargetRecord {
    /// Its id.
    pub id: TargetId,
    /// As users see it; `roles` is empty until policy has filled it.
    pub view: TargetView,
    /// Packs that are registered there and usable.
    pub packs: Vec<PackName>,
}

const SELECT: &str = "-- targets::list
    SELECT t.id, t.name, t.kind, t.host, t.port, t.database, t.server_version, t.helpers_version, t.health_at, t.clock_skew_ms, t.endpoints,
        coalesce(t.reachable AND t.health_at > now() - make_interval(secs => $2), false) AS reachable,
        CASE WHEN t.health_at IS NULL THEN 'no agent has reported on it yet'
             WHEN t.health_at <= now() - make_interval(secs => $2) THEN 'no agent has reported on it lately'
             ELSE t.fault END AS fault,
        ARRAY(SELECT p.name FROM target_packs p WHERE p.target_id = t.id AND p.fault IS NULL ORDER BY p.name) AS packs,
        (SELECT count(*) FROM sessions s WHERE s.target_id = t.id AND s.ended_at IS NULL) AS live_sessions
    FROM targets t WHERE t.tenant_id = $1 AND ($3::text IS NULL OR t.name = $3) ORDER BY t.name";

/// All targets, by name.
///
/// # Errors
/// The ledger's own trouble.
pub async fn list(ledger: &Ledger) -> Result<Vec<TargetRecord>, StoreError> {
    select(ledger, None).await
}

/// The target of this name.
///
/// # Errors
/// The ledger's own trouble.
pub async fn find(ledger: &Ledger, name: &TargetName) -> Result<Option<TargetRecord>, StoreError> {
    Ok(select(ledger, Some(name.as_str())).await?.pop())
}

async fn select(ledger: &Ledger, name: Option<&str>) -> Result<Vec<TargetRecord>, StoreError> {
    let params: [&(dyn ToSql + Sync); 3] = [&Ledger::tenant().uuid(), &f64::from(ONLINE_SECONDS), &name];
    ledger.query(SELECT, &params).await?.iter().map(record).collect()
}

/// What an agent of another version reported is left out rather than the target with it.
fn endpoints(row: &Reader<'_>) -> Result<Vec<EndpointHealth>, StoreError> {
    let told: Option<serde_json::Value> = row.get("endpoints")?;
    Ok(told.and_then(|told| serde_json::from_value(told).ok()).unwrap_or_default())
}

fn record(row: &Row) -> Result<TargetRecord, StoreError> {
    let row = Reader::new(row, "target");
    let port: Option<i32> = row.get("port")?;
    let view = TargetView {
        name: row.parse("name")?,
        kind: row.get("kind")?,
        host: row.get("host")?,
        port: port.map(u16::try_from).transpose().map_err(|error| row.bad("port", error))?,
        database: row.get("database")?,
        reachable: row.get("reachable")?,
        error: row.get("fault")?,
        server_version: row.get("server_version")?,
        helpers_version: row.get("helpers_version")?,
        seen_at: row.get("health_at")?,
        clock_skew_ms: row.get("clock_skew_ms")?,
        endpoints: endpoints(&row)?,
        roles: Vec::new(),
        live_sessions: row.get("live_sessions")?,
    };
    Ok(TargetRecord { id: row.id("id", TargetId::from_uuid)?, view, packs: row.parse_all("packs")? })
}
