//! Role packs: what they give, that they give no more, and when they are refused.

use crate::lab::{Lab, Mint, Session, options, pack, refusal, script};
use gk_agent::bootstrap::{BootstrapOptions, SchemaName};
use gk_testkit::Version;

on_both_lines!(
    app_read_reads_everything_and_changes_nothing,
    app_write_changes_rows_and_no_structure,
    packs_reach_tables_made_later_and_schemas_with_odd_names,
    a_released_pack_is_never_edited,
    a_pack_that_reaches_power_is_refused,
    a_pack_that_is_unknown_disabled_or_of_another_digest_is_refused,
);

/// Every kind of statement that writes, and some that would give a way to write.
const WRITES: [&str; 34] = [
    "INSERT INTO orders VALUES (1000, 1, 'x')",
    "INSERT INTO orders VALUES (1, 1, 'x') ON CONFLICT (id) DO UPDATE SET note = 'x'",
    "UPDATE orders SET note = 'x'",
    "DELETE FROM orders",
    "TRUNCATE orders",
    "MERGE INTO orders o USING (SELECT 1 AS id) s ON o.id = s.id WHEN MATCHED THEN DELETE",
    "COPY orders FROM STDIN",
    "COPY orders TO PROGRAM 'cat'",
    "COPY orders TO '/tmp/gk-test'",
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    "EXPLAIN ANALYZE DELETE FROM orders",
    "PREPARE p AS DELETE FROM orders; EXECUTE p",
    "DO $$ BEGIN DELETE FROM orders; END $$",
    "SELECT * FROM orders FOR UPDATE",
    "SELECT * FROM orders FOR SHARE",
    "BEGIN; LOCK TABLE orders IN EXCLUSIVE MODE",
    "INSERT INTO recent_orders VALUES (1000, 1, 'x')",
    "UPDATE recent_orders SET note = 'x'",
    "REFRESH MATERIALIZED VIEW order_counts",
    "SELECT nextval('order_ids')",
    "SELECT setval('order_ids', 5)",
    "CREATE TABLE public.t (a int)",
    "CREATE TABLE public.t AS SELECT 1",
    "SELECT 1 AS a INTO public.t",
    "CREATE VIEW public.v AS SELECT 1",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA s",
    "CREATE INDEX ON orders (note)",
    "CREATE TRIGGER t AFTER INSERT ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE r AS ON SELECT TO orders DO INSTEAD NOTHING",
    "ALTER TABLE orders ADD COLUMN more int",
    "DROP TABLE orders",
    "COMMENT ON TABLE orders IS 'x'",
    "GRANT SELECT ON orders TO PUBLIC",
];

/// `GRANT` without the right to is a warning, not an error, in Postgres: so the tables' state is compared too.
const STATE: &str =
    "SELECT md5(string_agg(o::text, ',' ORDER BY id)) || (SELECT relacl::text FROM pg_class WHERE relname = 'orders')
                       || (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace) FROM orders o";

pub(crate) async fn app_read_reads_everything_and_changes_nothing(version: Version) {
    let lab = Lab::new(version).await;
    let state = async || lab.dba.query_one(STATE, &[]).await.unwrap().get::<_, String>(0);
    let before = state().await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    for relation in ["orders", "recent_orders", "order_counts"] {
        user.batch_execute(&format!("SELECT * FROM {relation}")).await.unwrap();
    }
    drop(user.copy_out("COPY orders TO STDOUT").await.unwrap());
    let mut refused = 0;
    for write in WRITES {
        let sql = if lab.pg.major() >= 15 || !write.starts_with("MERGE") { write } else { "DELETE FROM orders" };
        let result = user.batch_execute(sql).await;
        user.batch_execute("ROLLBACK; DEALLOCATE ALL").await.unwrap();
        match result {
            Ok(()) => assert!(write.starts_with("GRANT"), "was let through: {write}"),
            Err(error) => {
                assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{write}: {error}");
                refused += 1;
            }
        }
        assert_eq!(state().await, before, "{write} changed something");
    }
    assert!(refused >= WRITES.len() - 1, "{refused}");
}

pub(crate) async fn app_write_changes_rows_and_no_structure(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint { pack: pack("app_write"), ..Mint::default() }).await;
    let user = lab.login(&session).await.unwrap();
    for allowed in [
        "INSERT INTO orders VALUES (1000, 1, 'x') ON CONFLICT (id) DO UPDATE SET note = 'x'",
        "UPDATE orders SET note = 'y' WHERE id = 1000",
        "UPDATE recent_orders SET note = 'z' WHERE id = 1000",
        "DELETE FROM orders WHERE id = 1000",
        "SELECT nextval('order_ids')",
        "SELECT * FROM orders FOR UPDATE",
    ] {
        user.batch_execute(allowed).await.unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    for refused in [
        "TRUNCATE orders",
        "ALTER TABLE orders ADD COLUMN more int",
        "DROP TABLE orders",
        "CREATE TABLE public.t (a int)",
        "CREATE INDEX ON orders (note)",
        "CREATE TRIGGER t AFTER INSERT ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "SELECT setval('order_ids', 5)",
        "REFRESH MATERIALIZED VIEW order_counts",
    ] {
        assert_eq!(refusal(user.batch_execute(refused).await), "42501", "{refused}");
    }
}

pub(crate) async fn packs_reach_tables_made_later_and_schemas_with_odd_names(version: Version) {
    let lab = Lab::new(version).await;
    let odd = r#"a'b"c\d, e}"#;
    let quoted = format!("\"{}\"", odd.replace('"', "\"\""));
    lab.dba.batch_execute(&format!("CREATE SCHEMA {quoted}; CREATE TABLE {quoted}.t (a int)")).await.unwrap();
    let schemas = vec![SchemaName::public(), odd.parse().unwrap()];
    lab.dba.batch_execute(&script(&BootstrapOptions { schemas, ..options() })).await.unwrap();
    lab.dba.batch_execute(&format!("CREATE TABLE later (a int); CREATE TABLE {quoted}.later (a int)")).await.unwrap();
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    user.batch_execute(&format!("SELECT * FROM {quoted}.t; SELECT * FROM later; SELECT * FROM {quoted}.later"))
        .await
        .unwrap();
    assert_eq!(refusal(user.batch_execute("INSERT INTO later VALUES (1)").await), "42501");
}

pub(crate) async fn a_released_pack_is_never_edited(version: Version) {
    let lab = Lab::new(version).await;
    let digest = format!("sha256:{}", "0".repeat(64));
    let register = "SELECT gk.pack_register('app_read', 'pg-1.0.0', $1, '1 hour', 3, 200)";
    let refused = lab.dba.query_one(register, &[&digest]).await.map(drop);
    let text = crate::lab::refusal_text(refused);
    assert!(text.contains("a released pack is never edited"), "{text}");
    let same = lab.dba.query_one(register, &[&pack("app_read").digest]).await.unwrap();
    let listed = lab.agent.query_one("SELECT role_name FROM gk.packs() WHERE name = 'app_read'", &[]).await.unwrap();
    assert_eq!(same.get::<_, String>(0), listed.get::<_, String>(0), "the same text again changes nothing");
    for (name, version) in [("App", "pg-1.0.0"), ("app;", "pg-1.0.0"), ("app", "1 0"), ("app", ""), ("", "1")] {
        let register = "SELECT gk.pack_register($1, $2, $3, '1 hour', 3, 200)";
        let refused = lab.dba.query_one(register, &[&name, &version, &digest]).await.map(drop);
        assert_eq!(refusal(refused), "22023", "{name} {version}");
    }
}

pub(crate) async fn a_pack_that_reaches_power_is_refused(version: Version) {
    let lab = Lab::new(version).await;
    let role: String =
        lab.agent.query_one("SELECT role_name FROM gk.packs() WHERE name = 'app_read'", &[]).await.unwrap().get(0);
    lab.dba
        .batch_execute("CREATE ROLE between; GRANT pg_execute_server_program TO between; CREATE ROLE person LOGIN")
        .await
        .unwrap();
    for (spoil, heal) in [
        (format!("GRANT between TO {role}"), format!("REVOKE between FROM {role}")),
        (format!("ALTER ROLE {role} CREATEROLE"), format!("ALTER ROLE {role} NOCREATEROLE")),
        (format!("ALTER ROLE {role} BYPASSRLS"), format!("ALTER ROLE {role} NOBYPASSRLS")),
        (format!("ALTER ROLE {role} LOGIN"), format!("ALTER ROLE {role} NOLOGIN")),
        (format!("GRANT person TO {role}"), format!("REVOKE person FROM {role}")),
        (format!("GRANT gk_heir TO {role}"), format!("REVOKE gk_heir FROM {role}")),
    ] {
        lab.dba.batch_execute(&spoil).await.unwrap();
        assert_eq!(refusal(lab.mint(&Session::new(), &Mint::default()).await), "42501", "{spoil}");
        let faults = "SELECT count(*) FROM gk.packs() WHERE fault IS NOT NULL";
        assert_eq!(lab.agent.query_one(faults, &[]).await.unwrap().get::<_, i64>(0), 1, "{spoil}");
        let enable = "SELECT gk.pack_enable('app_read', 'pg-1.0.0', true)";
        assert_eq!(refusal(lab.dba.batch_execute(enable).await), "42501", "{spoil}");
        lab.dba.batch_execute(&heal).await.unwrap();
        assert!(lab.mint(&Session::new(), &Mint::default()).await.is_ok(), "{heal}");
    }
    lab.dba.batch_execute(&format!("ALTER ROLE {role} RENAME TO away; CREATE ROLE {role}")).await.unwrap();
    assert_eq!(refusal(lab.mint(&Session::new(), &Mint::default()).await), "42501", "made anew under its name");
    let fault = "SELECT coalesce(bool_or(fault ~ 'replaced'), false) FROM gk.packs() WHERE name = 'app_read'";
    assert!(lab.truth(fault).await, "and it says so");
}

pub(crate) async fn a_pack_that_is_unknown_disabled_or_of_another_digest_is_refused(version: Version) {
    let lab = Lab::new(version).await;
    let mint = async |name: &str, version: &str, digest: &str| {
        let sql = "SELECT * FROM gk.mint($1, 1, $2, $3, $4, 'alice', $5, '1 min', clock_timestamp() + '10 s', NULL)";
        let session = Session::new();
        refusal(lab.agent.query_one(sql, &[&session.id, &name, &version, &digest, &session.verifier]).await)
    };
    let digest = &pack("app_read").digest;
    for name in ["nope", "postgres", "gk_owner", "pg_execute_server_program", "app_read\"; GRANT", "app_read_v1", ""] {
        assert_eq!(mint(name, "pg-1.0.0", digest).await, "42501", "{name}");
    }
    assert_eq!(mint("app_read", "pg-9.9.9", digest).await, "42501");
    assert_eq!(mint("app_read", "pg-1.0.0", "sha256:0").await, "42501");
    lab.dba.batch_execute("SELECT gk.pack_enable('app_read', 'pg-1.0.0', false)").await.unwrap();
    assert_eq!(mint("app_read", "pg-1.0.0", digest).await, "42501");
}
