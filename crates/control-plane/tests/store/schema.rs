//! Migrations and the schema they leave.

use std::io::Write as _;
use std::process::{Command, Stdio};

use gk_control_plane::store::{StoreError, check_schema, known_version, migrate};
use gk_shared::session::{Desired, EndProof, EndReason, Intent, Observed, SessionFacts};

use crate::support::{Books, connect, empty};

#[tokio::test]
async fn migrations_run_once_may_be_repeated_and_may_be_run_by_several_at_once() {
    let (_pg, config) = empty().await;
    let (one, two) = tokio::join!(migrate(&config), migrate(&config));
    let runs = [one.expect("migrates").run.len(), two.expect("migrates").run.len()];
    let all = usize::try_from(known_version()).expect("is small");
    assert!(runs == [all, 0] || runs == [0, all], "{runs:?}");
    let again = migrate(&config).await.expect("migrates");
    assert_eq!((again.run.len(), again.version), (0, known_version()));
}

#[tokio::test]
async fn another_version_of_the_schema_is_refused_with_both_numbers() {
    let (pg, config) = empty().await;
    let (ledger, _sent) = connect(&config);
    let known = known_version();
    let mismatch = |answer: Result<(), StoreError>| match answer {
        Err(StoreError::SchemaMismatch { found, known }) => (found, known),
        other => panic!("{other:?}"),
    };
    assert_eq!(mismatch(check_schema(&ledger).await), (0, known));
    migrate(&config).await.expect("migrates");
    check_schema(&ledger).await.expect("fits");
    let newer = "INSERT INTO refinery_schema_history SELECT version + 1, name, applied_on, checksum \
                 FROM refinery_schema_history ORDER BY version DESC LIMIT 1";
    pg.superuser("ledger").await.batch_execute(newer).await.expect("inserts");
    assert_eq!(mismatch(check_schema(&ledger).await), (known + 1, known));
    assert_eq!(mismatch(migrate(&config).await.map(drop)), (known + 1, known));
}

#[tokio::test]
async fn every_table_has_a_tenant_and_says_what_it_is_for() {
    let books = Books::open().await;
    let untenanted = "SELECT count(*) FROM pg_tables t WHERE schemaname = 'public'
        AND tablename NOT IN ('refinery_schema_history', 'tenants') AND NOT EXISTS (
            SELECT FROM information_schema.columns c WHERE c.table_name = t.tablename AND c.column_name = 'tenant_id')";
    assert_eq!(books.count(untenanted).await, 0);
    let uncommented = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND relname <> 'refinery_schema_history' AND obj_description(oid) IS NULL";
    assert_eq!(books.count(uncommented).await, 0);
}

/// The rule is kept twice, here and in `gk_shared::session`: this holds the two against each other.
#[tokio::test]
async fn the_status_word_in_sql_is_that_of_the_shared_crate_for_every_combination_of_facts() {
    let books = Books::open().await;
    let client = books.superuser().await;
    let reasons = EndReason::ALL.iter().map(|reason| Intent::Absent(*reason));
    for intent in reasons.chain([Intent::Present]) {
        for observed in Observed::ALL {
            for bits in 0..8_u8 {
                let end = EndProof {
                    cut: bits & 1 > 0,
                    dropped: bits & 2 > 0,
                    blocked: (bits & 4 > 0).then(|| "by a prepared transaction".to_owned()),
                };
                // The tables refuse an end without its cut.
                if end.dropped && !end.cut {
                    continue;
                }
                let facts = SessionFacts { intent, generation: 2, observed: *observed, end };
                assert_eq!(status_in_sql(&client, &facts).await, facts.status().as_str(), "{facts:?}");
            }
        }
    }
}

async fn status_in_sql(client: &tokio_postgres::Client, facts: &SessionFacts) -> String {
    let (desired, reason) = match facts.intent {
        Intent::Present => (Desired::Present, None),
        Intent::Absent(reason) => (Desired::Absent, Some(reason.as_str())),
    };
    let sql = "SELECT session_status(jsonb_populate_record(NULL::sessions, jsonb_build_object('desired', $1::text,
        'end_reason', $2::text, 'observed', $3::text, 'cut_at', CASE WHEN $4 THEN now() END,
        'ended_at', CASE WHEN $5 THEN now() END, 'blocked', $6::text)))";
    let end = &facts.end;
    let (desired, observed) = (desired.as_str(), facts.observed.as_str());
    let row = client.query_one(sql, &[&desired, &reason, &observed, &end.cut, &end.dropped, &end.blocked]).await;
    row.expect("answers").get(0)
}

#[tokio::test]
async fn the_runtime_role_runs_everything_and_cannot_touch_the_log_or_the_schema() {
    let books = Books::open().await;
    books.force("CREATE ROLE runner LOGIN PASSWORD 'pw' IN ROLE gk_ledger_runtime").await;
    let url = gk_shared::secret::SecretDsn::new(books.pg.dsn("runner", "pw", "ledger"));
    let config = gk_control_plane::config::LedgerConfig::from_url(&url).expect("is an address");
    let (ledger, sent) = connect(&config);
    check_schema(&ledger).await.expect("may read the version");
    let runner = books.pg.connect("runner", "pw", "ledger").await.expect("connects");
    let books = Books { ledger, config, sent, ..books };
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    books.revoke(&ada, session.id).await;
    let lease = books.claim_one(&agent).await;
    assert_eq!(books.result(&agent, &lease, crate::support::ended()).await, crate::support::TAKEN);
    gk_control_plane::store::scan::tidy(&books.ledger).await.expect("tidies");
    for sql in [
        "UPDATE audit_events SET canonical = ''",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "DELETE FROM audit_links",
        "DELETE FROM sessions",
        "DELETE FROM tokens",
        "ALTER TABLE sessions ADD COLUMN x int",
        "CREATE TABLE mine (x int)",
        "DROP TRIGGER audit_events_stay ON audit_events",
    ] {
        let error = runner.batch_execute(sql).await.expect_err(sql);
        assert_eq!(error.code().expect("has a state").code(), "42501", "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_dump_is_restored_with_every_rule() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    books.ready(&ada, &agent).await;
    let superuser = books.pg.superuser("postgres").await;
    superuser.batch_execute("CREATE DATABASE again").await.expect("makes the database");
    let dump = Command::new(books.pg.program("pg_dump")).arg(books.pg.superuser_dsn("ledger")).output().expect("runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let mut restore = Command::new(books.pg.program("psql"))
        .args(["-qX", "-v", "ON_ERROR_STOP=1", &books.pg.superuser_dsn("again")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    restore.stdin.take().expect("is piped").write_all(&dump.stdout).expect("psql reads");
    let restored = restore.wait_with_output().expect("ends");
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let again = books.pg.superuser("again").await;
    let broken = again.execute("UPDATE sessions SET generation = 0", &[]).await.expect_err("breaks a rule");
    assert_eq!(broken.as_db_error().and_then(|told| told.constraint()), Some("generation"));
    let broken = again.execute("UPDATE jobs SET lane = 2", &[]).await.expect_err("breaks a rule");
    assert_eq!(broken.as_db_error().and_then(|told| told.constraint()), Some("beginnings_have_a_lane"));
}
