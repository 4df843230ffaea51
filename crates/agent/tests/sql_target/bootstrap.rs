//! The bootstrap: by whom, how often, in which surroundings; and what the doctor says afterwards.

use crate::lab::{AGENT_PASSWORD, Lab, Mint, Session, mint, options, pack, refusal, refusal_text, script};
use gk_agent::bootstrap::{BootstrapOptions, SchemaName, psql_script};
use gk_testkit::{TestPg, Version};
use std::io::Write as _;
use std::process::{Command, Stdio};
use tokio_postgres::Client;

on_both_lines!(
    the_bootstrap_may_be_repeated_while_sessions_live,
    a_dba_without_superuser_can_bootstrap_and_sessions_work,
    tables_of_another_owner_are_named_with_the_grants_they_need,
    a_schema_that_is_not_there_is_named,
    two_databases_of_one_server_stay_apart,
    psql_runs_the_printed_script,
    surroundings_that_are_not_safe_are_refused,
    what_was_planted_before_the_bootstrap_gains_nothing,
    no_verifier_reaches_the_log_beside_the_parameter,
    the_doctor_names_what_is_open_and_its_mends_work,
);

pub(crate) async fn the_bootstrap_may_be_repeated_while_sessions_live(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    let snapshot = "SELECT md5(string_agg(concat(proname, proacl, prosrc), ',' ORDER BY oid)) FROM pg_proc WHERE pronamespace = 'gk'::regnamespace";
    let before: String = lab.dba.query_one(snapshot, &[]).await.unwrap().get(0);
    for _ in 0..2 {
        lab.dba.batch_execute(&script(&options())).await.unwrap();
    }
    let after: String = lab.dba.query_one(snapshot, &[]).await.unwrap().get(0);
    assert_eq!(before, after);
    user.batch_execute("SELECT * FROM orders").await.unwrap();
    assert_eq!(lab.mint(&session, &Mint::generation(2)).await.unwrap().outcome, "rearmed");
    lab.end(&session).await;
}

/// A server with a DBA who is no superuser and owns database `shop` and its table.
pub(crate) async fn managed_server(version: Version) -> (TestPg, Client) {
    let pg = TestPg::start(version).await;
    let superuser = pg.superuser("postgres").await;
    superuser.batch_execute("CREATE ROLE dba LOGIN CREATEROLE PASSWORD 'pw'").await.unwrap();
    superuser.batch_execute("CREATE DATABASE shop OWNER dba").await.unwrap();
    pg.superuser("shop").await.batch_execute("ALTER SCHEMA public OWNER TO dba").await.unwrap();
    let dba = pg.connect("dba", "pw", "shop").await.unwrap();
    dba.batch_execute("CREATE TABLE orders AS SELECT 1 AS id").await.unwrap();
    (pg, dba)
}

pub(crate) async fn a_dba_without_superuser_can_bootstrap_and_sessions_work(version: Version) {
    let (pg, dba) = managed_server(version).await;
    for _ in 0..2 {
        dba.batch_execute(&script(&options())).await.unwrap();
    }
    let agent = pg.connect("gk_agent", AGENT_PASSWORD, "shop").await.unwrap();
    let session = Session::new();
    mint(&agent, &session, &Mint::default()).await.unwrap();
    let user = pg.connect(&session.role, &session.password, "shop").await.unwrap();
    user.batch_execute("SELECT * FROM orders").await.unwrap();
    user.batch_execute("SELECT lo_create(77)").await.unwrap();
    assert_eq!(refusal(user.batch_execute("DELETE FROM orders").await), "42501");
    dba.batch_execute("CREATE TABLE later (a int)").await.unwrap();
    user.batch_execute("SELECT * FROM later").await.unwrap();

    let lab = Lab { pg, dba, agent };
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed");
    lab.cut(&session).await;
    assert!(user.batch_execute("SELECT 1").await.is_err());
    lab.reaped(&session, "dropped").await;
    assert!(!lab.role_exists(&session).await);
    let row = lab.agent.query_one("SELECT ok, mend FROM gk.doctor() WHERE check_name = 'signal'", &[]).await.unwrap();
    assert_eq!(row.get::<_, bool>(0), version == Version::Before16, "from 16 on only who has it may give it");
    if version == Version::From16 {
        lab.pg.superuser("shop").await.batch_execute(row.get(1)).await.unwrap();
        assert!(
            lab.agent
                .query_one("SELECT ok FROM gk.doctor() WHERE check_name = 'signal'", &[])
                .await
                .unwrap()
                .get::<_, bool>(0)
        );
    }
}

pub(crate) async fn tables_of_another_owner_are_named_with_the_grants_they_need(version: Version) {
    let (pg, dba) = managed_server(version).await;
    let superuser = pg.superuser("shop").await;
    let theirs = "CREATE ROLE app_owner NOLOGIN; CREATE SCHEMA app AUTHORIZATION app_owner; SET ROLE app_owner;
                  CREATE TABLE app.invoices AS SELECT 1 AS id; RESET ROLE";
    superuser.batch_execute(theirs).await.unwrap();
    let schemas = vec![SchemaName::public(), "app".parse().unwrap()];
    let own = script(&BootstrapOptions { schemas, ..options() });
    let result = dba.batch_execute(&own).await;
    result.unwrap_or_else(|error| panic!("what cannot be granted must not stop the rest: {error:?}"));
    let agent = pg.connect("gk_agent", AGENT_PASSWORD, "shop").await.unwrap();
    let reach = "SELECT ok, detail, mend FROM gk.doctor() WHERE check_name = 'reach'";
    let row = agent.query_one(reach, &[]).await.unwrap();
    assert!(!row.get::<_, bool>(0));
    let mend = row.get::<_, String>(2);
    let grants = mend.strip_prefix("As their owner: ").unwrap();
    superuser.batch_execute(&format!("SET ROLE app_owner; {grants}\n; RESET ROLE")).await.unwrap();
    let row = agent.query_one(reach, &[]).await.unwrap();
    assert!(row.get::<_, bool>(0), "{}", row.get::<_, String>(1));
    for (pack_name, may_write) in [("app_read", false), ("app_write", true)] {
        let session = Session::new();
        mint(&agent, &session, &Mint { pack: pack(pack_name), ..Mint::default() }).await.unwrap();
        let user = pg.connect(&session.role, &session.password, "shop").await.unwrap();
        user.batch_execute("SELECT * FROM app.invoices").await.unwrap();
        assert_eq!(user.batch_execute("DELETE FROM app.invoices").await.is_ok(), may_write, "{pack_name}");
    }
}

pub(crate) async fn a_schema_that_is_not_there_is_named(version: Version) {
    let (_pg, dba) = managed_server(version).await;
    let schemas = vec!["nowhere".parse().unwrap()];
    let text = refusal_text(dba.batch_execute(&script(&BootstrapOptions { schemas, ..options() })).await);
    assert!(text.contains("no schema nowhere"), "{text}");
}

pub(crate) async fn two_databases_of_one_server_stay_apart(version: Version) {
    let lab = Lab::new(version).await;
    lab.pg.create_database("second").await;
    let second = lab.pg.superuser("second").await;
    second.batch_execute("CREATE TABLE private (a int)").await.unwrap();
    second.batch_execute(&script(&options())).await.unwrap();
    let session = lab.minted(&Mint::default()).await;
    let user = lab.pg.connect(&session.role, &session.password, "second").await.unwrap();
    assert_eq!(refusal(user.batch_execute("SELECT * FROM private").await), "42501", "a pack belongs to one database");
}

pub(crate) async fn psql_runs_the_printed_script(version: Version) {
    let pg = TestPg::start(version).await;
    pg.create_database("app").await;
    let mut psql = Command::new(pg.psql())
        .args(["-X", "-q", "-d", &pg.superuser_dsn("app")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    psql.stdin.take().unwrap().write_all(psql_script(&options()).as_bytes()).unwrap();
    assert!(psql.wait().unwrap().success());
    let agent = pg.connect("gk_agent", AGENT_PASSWORD, "app").await.unwrap();
    let row = agent
        .query_one("SELECT gk.version(), count(*) FROM gk.packs() WHERE enabled AND fault IS NULL", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), (gk_agent::bootstrap::HELPERS_VERSION, 2));
}

pub(crate) async fn surroundings_that_are_not_safe_are_refused(version: Version) {
    let (pg, dba) = managed_server(version).await;
    let superuser = pg.superuser("shop").await;
    superuser
        .batch_execute("CREATE ROLE powerless LOGIN PASSWORD 'pw'; GRANT CREATE ON DATABASE shop TO powerless")
        .await
        .unwrap();
    let powerless = pg.connect("powerless", "pw", "shop").await.unwrap();
    let text = refusal_text(powerless.batch_execute(&script(&options())).await);
    assert!(text.contains("may not create roles") && text.contains("CREATEROLE"), "{text}");
    for (spoil, heal, wanted) in [
        ("CREATE SCHEMA gk", "DROP SCHEMA gk", "schema gk exists already"),
        ("CREATE ROLE gk_agent LOGIN SUPERUSER", "DROP ROLE gk_agent", "gk_agent"),
        ("CREATE ROLE gk_heir CREATEROLE", "DROP ROLE gk_heir", "gk_heir"),
        ("CREATE ROLE gk_owner LOGIN CREATEROLE", "DROP ROLE gk_owner", "gk_owner"),
        ("CREATE ROLE gk_heir; GRANT pg_read_all_data TO gk_heir", "DROP ROLE gk_heir", "gk_heir"),
    ] {
        superuser.batch_execute(spoil).await.unwrap();
        let text = refusal_text(dba.batch_execute(&script(&options())).await);
        assert!(text.contains(wanted) && !text.contains("SCRAM"), "{spoil}: {text}");
        dba.batch_execute("ROLLBACK").await.unwrap();
        superuser.batch_execute(heal).await.unwrap();
    }
    dba.batch_execute(&script(&options())).await.unwrap();
    superuser.batch_execute("CREATE ROLE second_dba LOGIN CREATEROLE PASSWORD 'pw'").await.unwrap();
    superuser.batch_execute("CREATE DATABASE other OWNER second_dba").await.unwrap();
    let second = pg.connect("second_dba", "pw", "other").await.unwrap();
    let result = second.batch_execute(&script(&options())).await;
    if version == Version::From16 {
        let text = refusal_text(result);
        assert!(text.contains("GRANT gk_owner TO second_dba"), "{text}");
    }
}

/// Functions and operators in a schema that everybody writes to are the oldest trick against a DBA's script.
pub(crate) async fn what_was_planted_before_the_bootstrap_gains_nothing(version: Version) {
    let pg = TestPg::start(version).await;
    pg.create_database("app").await;
    let dba = pg.superuser("app").await;
    dba.batch_execute("GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE ROLE mallory LOGIN PASSWORD 'pw'")
        .await
        .unwrap();
    let mallory = pg.connect("mallory", "pw", "app").await.unwrap();
    mallory
        .batch_execute(
            "CREATE FUNCTION public.evil() RETURNS void LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE mallory SUPERUSER; EXCEPTION WHEN OTHERS THEN NULL; END $$;
             CREATE FUNCTION public.format(text, name) RETURNS text LANGUAGE sql AS $$ SELECT public.evil(); SELECT 'SELECT 1' $$;
             CREATE FUNCTION public.to_regrole(unknown text) RETURNS regrole LANGUAGE sql AS $$ SELECT public.evil(); SELECT NULL::regrole $$;
             CREATE FUNCTION public.same(name, unknown text) RETURNS boolean LANGUAGE sql AS $$ SELECT public.evil(); SELECT true $$;
             CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.same);
             CREATE TABLE public.pg_roles (rolname name, rolsuper bool)",
        )
        .await
        .unwrap();
    dba.batch_execute("SET search_path = public, pg_catalog").await.unwrap();
    dba.batch_execute(&script(&options())).await.unwrap();
    let escalated: bool = dba
        .query_one("SELECT rolsuper FROM pg_catalog.pg_roles r WHERE rolname OPERATOR(pg_catalog.=) 'mallory'", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!escalated);
    let agent = pg.connect("gk_agent", AGENT_PASSWORD, "app").await.unwrap();
    assert_eq!(mint(&agent, &Session::new(), &Mint::default()).await.unwrap().outcome, "created");
}

pub(crate) async fn no_verifier_reaches_the_log_beside_the_parameter(version: Version) {
    let server = TestPg::with(version).setting("log_statement", "all").setting("log_parameter_max_length", "0");
    let lab = Lab::with(server.setting("log_min_error_statement", "debug5")).await;
    let session = lab.minted(&Mint::default()).await;
    let clash = Session::new();
    lab.dba.batch_execute(&format!("CREATE ROLE {}", clash.role)).await.unwrap();
    let gone = lab.minted(&Mint::default()).await;
    lab.dba.batch_execute(&format!("DROP ROLE {}", gone.role)).await.unwrap();
    let mut shown = String::new();
    for (session, how) in [
        (&clash, Mint::default()),
        (&gone, Mint::generation(2)),
        (&session, Mint::generation(0)),
        (&session, Mint { subject: "other", ..Mint::default() }),
        (&Session::new(), Mint { lease: "-1 s", ..Mint::default() }),
    ] {
        shown += &refusal_text(lab.mint(session, &how).await);
    }
    // a role's row that is locked, so that the inner statement itself fails
    lab.dba.batch_execute(&format!("BEGIN; ALTER ROLE {} CONNECTION LIMIT 2", session.role)).await.unwrap();
    let waiting = lab.mint(&session, &Mint::generation(3)).await;
    assert_eq!(
        waiting.as_ref().err().and_then(tokio_postgres::Error::code).map(tokio_postgres::error::SqlState::code),
        Some("55P03")
    );
    shown += &refusal_text(waiting);
    lab.dba.batch_execute("SET LOCAL statement_timeout = 0").await.unwrap();
    lab.agent.batch_execute("SET statement_timeout = '200ms'").await.unwrap();
    shown += &refusal_text(lab.mint(&session, &Mint::generation(3)).await);
    lab.dba.batch_execute("COMMIT").await.unwrap();
    assert!(!shown.contains("SCRAM-SHA-256$") && !shown.contains("PASSWORD '"), "{shown}");
    let log = lab.pg.log_text();
    assert!(log.contains("gk.mint("), "the log has the statements");
    for session in [&session, &clash, &gone] {
        assert!(!log.contains(&session.verifier), "a verifier is in the log");
        assert!(!log.contains(&session.password), "a password is in the log");
    }
}

pub(crate) async fn the_doctor_names_what_is_open_and_its_mends_work(version: Version) {
    let lab = Lab::with(TestPg::with(version).setting("max_prepared_transactions", "4")).await;
    lab.dba
        .batch_execute("GRANT CREATE ON SCHEMA public TO PUBLIC; GRANT TEMPORARY ON DATABASE app TO PUBLIC")
        .await
        .unwrap();
    lab.dba
        .batch_execute("REVOKE pg_signal_backend FROM gk_owner; GRANT EXECUTE ON FUNCTION gk.kill(text) TO PUBLIC")
        .await
        .unwrap();
    let sick = async || {
        let rows = lab.agent.query("SELECT check_name, mend FROM gk.doctor() WHERE NOT ok", &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(String, String)>>()
    };
    let found = sick().await;
    for check in ["signal", "public_execute", "public_create", "public_temp", "public_connect", "prepared_transactions"]
    {
        let (_, mend) = found.iter().find(|(name, _)| name == check).unwrap_or_else(|| panic!("{check}: {found:?}"));
        assert!(!mend.is_empty());
        let restart_only = check == "prepared_transactions";
        if !restart_only {
            lab.dba.batch_execute(mend).await.unwrap_or_else(|error| panic!("{check}: {mend}: {error}"));
        }
    }
    lab.dba.batch_execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA gk TO gk_owner").await.unwrap();
    let mut left: Vec<String> = sick().await.into_iter().map(|(name, _)| name).collect();
    left.retain(|name| name != "createrole");
    assert_eq!(left, ["prepared_transactions"]);
    lab.dba.batch_execute("CREATE FUNCTION public.opens() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; GRANT victim TO gk_agent").await.unwrap_err();
    lab.dba.batch_execute("CREATE ROLE extra; GRANT extra TO gk_agent; CREATE FUNCTION public.opens() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'").await.unwrap();
    let left: Vec<String> = sick().await.into_iter().map(|(name, _)| name).collect();
    assert!(left.contains(&"agent".into()) && left.contains(&"open_definers".into()), "{left:?}");
}
