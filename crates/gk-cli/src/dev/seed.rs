//! The rows of the demo database: a small shop, filled by SQL alone, once.
//!
//! What always holds: all of it is there or nothing, and a database that has it is left as its user made it.

use super::cluster::{APP, connect};
use super::error::DevError;
use super::layout::DevDir;
use super::secrets::Login;

const FILES: [&str; 3] = [
    include_str!("../../../../infra-dev/seed/01_tables.sql"),
    include_str!("../../../../infra-dev/seed/02_rows.sql"),
    include_str!("../../../../infra-dev/seed/03_keys.sql"),
];

/// Fills `app` as its owner, unless that was done before.
pub(crate) async fn fill(dir: &DevDir, port: u16) -> Result<(), DevError> {
    let failed = || DevError::sql("filling the demo database");
    let mut owner = connect(dir, port, Login::AppOwner, APP).await?;
    // A comment on the schema says it, in the same transaction: a user may drop any table and keep that.
    let query = "-- dev::seed::is_filled
        SELECT EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = 'public' AND obj_description(n.oid, 'pg_namespace') = $1)";
    let filled: bool = owner.query_one(query, &[&MARK]).await.map_err(failed())?.get(0);
    if filled {
        return Ok(());
    }
    let transaction = owner.transaction().await.map_err(failed())?;
    for sql in FILES {
        transaction.batch_execute(&format!("-- dev::seed::fill\n{sql}")).await.map_err(failed())?;
    }
    let mark = format!("-- dev::seed::mark\nCOMMENT ON SCHEMA public IS '{MARK}'");
    transaction.batch_execute(&mark).await.map_err(failed())?;
    transaction.commit().await.map_err(failed())
}

const MARK: &str = "gk dev: demo data, version 1";
