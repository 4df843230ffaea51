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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::{bootstrap, cluster};
    use gk_testkit::pg_versions;
    use std::os::unix::fs::PermissionsExt as _;

    /// Everything that the demo database holds, in one digest.
    const DIGEST: &str = "-- dev::seed::tests::digest
        SELECT md5(string_agg(d, ',' ORDER BY d)) FROM (
          SELECT md5(string_agg(t::text, '|' ORDER BY t.customer_id)) AS d FROM customers AS t
          UNION ALL SELECT md5(string_agg(t::text, '|' ORDER BY t.product_id)) FROM products AS t
          UNION ALL SELECT md5(string_agg(t::text, '|' ORDER BY t.order_id)) FROM orders AS t
          UNION ALL SELECT md5(string_agg(t::text, '|' ORDER BY t.order_id, t.line)) FROM order_items AS t
          UNION ALL SELECT md5(string_agg(t::text, '|' ORDER BY t.invoice_id)) FROM invoices AS t) AS tables";

    const COUNTS: &str = "-- dev::seed::tests::counts
        SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT count(*) FROM invoices)";

    /// One number a fault: totals that are not the sum of their lines, orders from before the customer was one,
    /// invoices that are not their order's.
    const CONTRADICTIONS: &str = "-- dev::seed::tests::contradictions
        SELECT (SELECT count(*) FROM orders AS o JOIN (SELECT order_id, sum(quantity * unit_price) AS s FROM order_items
                  GROUP BY order_id) AS i USING (order_id) WHERE o.total <> i.s)
             + (SELECT count(*) FROM orders AS o JOIN customers AS c USING (customer_id) WHERE o.placed_at < c.created_at)
             + (SELECT count(*) FROM invoices AS i JOIN orders AS o USING (order_id) WHERE i.amount <> o.total)";

    #[tokio::test]
    async fn the_rows_are_the_same_on_every_version_and_need_no_superuser() {
        let mut digests = Vec::new();
        for version in pg_versions() {
            let tmp = tempfile::tempdir_in("/var/tmp").unwrap();
            std::fs::set_permissions(tmp.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
            let dir = DevDir::claim(tmp.path()).unwrap();
            let server = cluster::start(version.binaries(), &dir, None).await.unwrap();
            // Each step may be repeated: that is what finishes a start that was killed half-way.
            for _ in 0..2 {
                cluster::prepare(&dir, server.port()).await.unwrap();
                fill(&dir, server.port()).await.unwrap();
                bootstrap::install(&dir, server.port()).await.unwrap();
            }
            let owner = connect(&dir, server.port(), Login::AppOwner, APP).await.unwrap();
            let one = async |sql| owner.query_one(sql, &[]).await.unwrap();
            assert!(!one("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").await.get::<_, bool>(0));
            let counts = one(COUNTS).await;
            assert_eq!([counts.get::<_, i64>(0), counts.get(1), counts.get(2)], [12_000, 75_000, 71_648]);
            assert_eq!(one(CONTRADICTIONS).await.get::<_, i64>(0), 0);
            digests.push(one(DIGEST).await.get::<_, String>(0));
            server.stop().await.unwrap();
        }
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    }
}
