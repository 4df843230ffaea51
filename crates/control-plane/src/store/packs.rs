//! Role packs, as agents reported them.

use gk_shared::wire::catalog::PackView;
use tokio_postgres::Row;

use super::row::Reader;
use super::{Ledger, StoreError};

const LIST: &str = "-- packs::list
    SELECT p.name, p.version, p.digest,
        ARRAY(SELECT t.name FROM target_packs x JOIN targets t ON t.id = x.target_id
              WHERE x.tenant_id = p.tenant_id AND x.name = p.name AND x.version = p.version AND x.digest = p.digest
                AND x.fault IS NULL ORDER BY t.name) AS targets
    FROM packs p WHERE p.tenant_id = $1 ORDER BY p.name, p.version, p.digest";

/// All packs that were ever reported, by name and version.
///
/// # Errors
/// The ledger's own trouble.
pub async fn list(ledger: &Ledger) -> Result<Vec<PackView>, StoreError> {
    ledger.query(LIST, &[&Ledger::tenant().uuid()]).await?.iter().map(view).collect()
}

fn view(row: &Row) -> Result<PackView, StoreError> {
    let row = Reader::new(row, "pack");
    Ok(PackView {
        name: row.parse("name")?,
        version: row.get("version")?,
        digest: row.get("digest")?,
        targets: row.parse_all("targets")?,
    })
}
