//! The attack script: what a stolen agent login and a minted role try, all of it refused, and nothing of it left.

use crate::lab::{Lab, Mint, Session, options, refusal, refusal_text, script};
use gk_testkit::Version;

on_both_lines!(
    the_agents_login_can_do_nothing_but_call_the_helpers,
    a_minted_role_gains_nothing,
    shadowed_names_change_nothing,
    everybody_else_can_call_nothing,
    a_repeated_bootstrap_takes_back_what_was_given_away,
    an_error_of_the_server_carries_no_verifier,
);

/// Sets up what the attackers aim at: another minted session, a role, a table and a database of the application.
const STAGE: &str = "CREATE ROLE victim LOGIN; CREATE ROLE bystander NOLOGIN; CREATE TABLE secrets (a text);
                     INSERT INTO secrets VALUES ('s3cret');
                     CREATE ROLE gk_01arz3ndektsv4rrffq69g5faw NOLOGIN CONNECTION LIMIT 0";

/// A fingerprint of all that an attack might change: roles and their memberships, helpers and their rights.
const WORLD: &str = "
    SELECT md5(concat(
        (SELECT string_agg(a::text, ',' ORDER BY oid) FROM pg_authid a WHERE rolname <> $1),
        (SELECT string_agg(concat(roleid, member, admin_option), ',' ORDER BY roleid, member) FROM pg_auth_members),
        (SELECT string_agg(concat(proname, proacl, prosrc, proowner, proconfig), ',' ORDER BY oid) FROM pg_proc WHERE pronamespace = 'gk'::regnamespace),
        (SELECT string_agg(concat(relname, relacl, relowner), ',' ORDER BY oid) FROM pg_class WHERE relnamespace IN ('gk'::regnamespace, 'public'::regnamespace)),
        (SELECT string_agg(concat(datname, datacl, datdba), ',' ORDER BY oid) FROM pg_database),
        (SELECT string_agg(concat(setdatabase, setrole), ',' ORDER BY 1) FROM pg_db_role_setting WHERE setrole <> to_regrole($1)::oid),
        (SELECT string_agg(f::text, ',' ORDER BY session) FROM gk.fence f), (SELECT string_agg(s::text, ',') FROM gk.spare s), (SELECT string_agg(k::text, ',') FROM gk.maker k), (SELECT string_agg(p::text, ',') FROM gk.pack p),
        (SELECT string_agg(s::text, ',') FROM gk.setting s), (SELECT string_agg(a, ',') FROM secrets)))";

/// What a stolen `gk_agent` login tries. ROLE is a minted role, SESSION its session, PACK a pack's role.
const AS_AGENT: [&str; 69] = [
    "CREATE ROLE evil LOGIN",
    "CREATE ROLE gk_01arz3ndektsv4rrffq69g5fav LOGIN",
    "CREATE DATABASE evil",
    "CREATE SCHEMA evil",
    "CREATE TABLE public.evil (a int)",
    "CREATE TABLE gk.evil (a int)",
    "CREATE FUNCTION gk.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION gk.version() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    "ALTER FUNCTION gk.version() RESET search_path",
    "ALTER FUNCTION gk.version() SECURITY INVOKER",
    "DROP FUNCTION gk.kill(text)",
    "DROP SCHEMA gk CASCADE",
    "GRANT EXECUTE ON FUNCTION gk.kill(text) TO PUBLIC",
    "ALTER ROLE victim PASSWORD 'x'",
    "ALTER ROLE ROLE PASSWORD 'x'",
    "ALTER ROLE ROLE VALID UNTIL 'infinity'",
    "ALTER ROLE gk_agent CREATEROLE",
    "ALTER ROLE gk_agent SUPERUSER",
    "ALTER ROLE gk_agent INHERIT",
    "ALTER ROLE gk_agent CONNECTION LIMIT 1000",
    "ALTER ROLE gk_owner LOGIN",
    "DROP ROLE victim",
    "DROP ROLE ROLE",
    "COMMENT ON ROLE bystander IS 'gatekeeper'",
    "SET ROLE gk_owner",
    "SET ROLE gk_heir",
    "SET ROLE PACK",
    "SET ROLE ROLE",
    "SET SESSION AUTHORIZATION gk_owner",
    "GRANT gk_owner TO gk_agent",
    "GRANT PACK TO gk_agent",
    "GRANT PACK TO victim",
    "GRANT ROLE TO gk_agent",
    "GRANT pg_read_all_data TO gk_agent",
    "SELECT * FROM gk.fence",
    "UPDATE gk.fence SET state = 'closed'",
    "DELETE FROM gk.fence",
    "INSERT INTO gk.pack SELECT * FROM gk.pack",
    "UPDATE gk.pack SET role_oid = 10",
    "UPDATE gk.setting SET value = 1",
    "UPDATE gk.watch SET pid = 1",
    "SELECT * FROM secrets",
    "SELECT * FROM orders",
    "COPY secrets TO STDOUT",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    "SELECT gk.pack_register('evil', '1', 'sha256:0', '1 hour', 3, 3)",
    "SELECT gk.pack_enable('app_read', 'pg-1.0.0', false)",
    "SELECT gk.own('victim')",
    "SELECT gk.hand_on('victim')",
    "SELECT gk.signal(10)",
    "SELECT gk.shut(10, 1)",
    "SELECT gk.set_verifier('postgres', 'x')",
    "SELECT gk.adopt('SESSION')",
    "SELECT * FROM gk.spare",
    "INSERT INTO gk.spare VALUES ('x', 'postgres', 10, 1)",
    "UPDATE gk.spare SET role_oid = 10",
    "SELECT gk.create_spare('gkspare_evil', 'x')",
    "SELECT gk.take_spare(NULL, '; ALTER ROLE gk_agent CREATEROLE')",
    "SELECT gk.make(1, 'CREATE ROLE evil LOGIN')",
    "SELECT gk.alter_made('ROLE', 'ALTER ROLE gk_agent CREATEROLE')",
    "SELECT gk.alter_made('victim', 'DROP ROLE victim')",
    "UPDATE gk.maker SET place = 1",
    "UPDATE gk.live_mark SET live = 0",
    "SELECT setval('gk.mints', 1)",
    "SELECT gk.drop_spare(NULL)",
    "SELECT gk.clear_spares()",
];

/// Calls of the helpers with what they must not take.
const HELPERS_AS_AGENT: [(&str, &str); 22] = [
    ("SELECT gk.kill('SESSION')", "55000"),
    ("SELECT * FROM gk.reap('SESSION')", "55000"),
    ("SELECT gk.clean_here('SESSION')", "42501"),
    ("SELECT * FROM gk.quiet('SESSION')", "55000"),
    ("SELECT * FROM gk.quiet('sess_01ARZ3NDEKTSV4RRFFQ69G5FAV')", "42501"),
    ("SELECT gk.kill('sess_01ARZ3NDEKTSV4RRFFQ69G5FAV')", "42501"),
    ("SELECT * FROM gk.reap('sess_01ARZ3NDEKTSV4RRFFQ69G5FAV')", "42501"),
    ("SELECT gk.disarm('victim', 1)", "22023"),
    ("SELECT gk.disarm('gk_owner', 1)", "22023"),
    ("SELECT gk.disarm('postgres', 1)", "22023"),
    ("SELECT gk.disarm('sess_01ARZ3NDEKTSV4RRFFQ69G5FA\"', 1)", "22023"),
    ("SELECT gk.disarm('SESSION', 0)", "22023"),
    ("SELECT gk.disarm(NULL, 1)", "22023"),
    ("SELECT gk.stock('hunter2')", "22023"),
    ("SELECT gk.stock('SCRAM-SHA-256$4096:x$x:x'' LOGIN SUPERUSER --')", "22023"),
    ("SELECT gk.stock(NULL)", "22023"),
    ("SELECT * FROM gk.mint('SESSION', 2, 'postgres', 'x', 'x', 'x', 'x', '1 min', 'infinity', NULL)", "22023"),
    ("SELECT * FROM gk.extend('SESSION', 2, 'infinity', 'infinity')", "22023"),
    ("SELECT * FROM gk.extend('SESSION', 2, clock_timestamp() + '5 hours', 'infinity')", "22023"),
    ("SELECT * FROM gk.extend('SESSION', 2, clock_timestamp() + '1 hour', NULL)", "22023"),
    ("SELECT * FROM gk.extend('sess_01ARZ3NDEKTSV4RRFFQ69G5FAV', 2, clock_timestamp(), 'infinity')", "42501"),
    ("CALL gk.deadman('1 ms', '1 s')", "22023"),
];

/// What a minted role tries.
const AS_USER: [&str; 35] = [
    "CREATE ROLE evil",
    "ALTER ROLE ROLE VALID UNTIL 'infinity'",
    "ALTER ROLE ROLE CONNECTION LIMIT 1000",
    "ALTER ROLE ROLE CREATEROLE",
    "ALTER ROLE ROLE LOGIN",
    "COMMENT ON ROLE ROLE IS 'gatekeeper sess_X database app'",
    "DROP ROLE OTHER",
    "ALTER ROLE OTHER PASSWORD 'x'",
    "SET ROLE OTHER",
    "SET ROLE gk_owner",
    "SET ROLE gk_agent",
    "SET SESSION AUTHORIZATION gk_agent",
    "GRANT PACK TO victim",
    "GRANT pg_read_all_data TO CURRENT_USER",
    "SELECT gk.version()",
    "SELECT gk.min_iterations()",
    "SELECT gk.disarm('SESSION', 1)",
    "SELECT * FROM gk.sweep(1)",
    "SELECT * FROM gk.observe()",
    "SELECT gk.kill('SESSION')",
    "CALL gk.deadman('1 s', '1 s')",
    "SELECT * FROM gk.fence",
    "DELETE FROM gk.fence",
    "CREATE TABLE gk.t (a int)",
    "CREATE TABLE public.t (a int)",
    "CREATE SCHEMA evil",
    "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'",
    "DELETE FROM secrets",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gk_agent'",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "ALTER SYSTEM SET max_connections = 1",
    "ALTER DATABASE app OWNER TO CURRENT_USER",
    "ALTER DEFAULT PRIVILEGES FOR ROLE gk_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
];

struct Stage {
    lab: Lab,
    mine: Session,
    other: Session,
    pack_role: String,
}

impl Stage {
    async fn new(version: Version) -> Self {
        let lab = Lab::new(version).await;
        lab.dba.batch_execute(STAGE).await.unwrap();
        let (mine, other) = (lab.minted(&Mint::default()).await, lab.minted(&Mint::default()).await);
        let sql = "SELECT role_name FROM gk.packs() WHERE name = 'app_read'";
        let pack_role = lab.agent.query_one(sql, &[]).await.unwrap().get(0);
        Self { lab, mine, other, pack_role }
    }

    fn fill(&self, sql: &str) -> String {
        sql.replace("ALTER ROLE ROLE", &format!("ALTER ROLE {}", self.mine.role))
            .replace("DROP ROLE ROLE", &format!("DROP ROLE {}", self.mine.role))
            .replace("SET ROLE ROLE", &format!("SET ROLE {}", self.mine.role))
            .replace("ON ROLE ROLE", &format!("ON ROLE {}", self.mine.role))
            .replace("GRANT ROLE", &format!("GRANT {}", self.mine.role))
            .replace("OTHER", &self.other.role)
            .replace("PACK", &self.pack_role)
            .replace("SESSION'", &format!("{}'", self.mine.id))
    }

    /// The world without what belongs to one role, which may change its own password and settings.
    async fn world(&self, without: &str) -> String {
        self.lab.dba.query_one(WORLD, &[&without]).await.unwrap().get(0)
    }

    /// Tries everything and looks after each try whether anything has changed.
    async fn refuses(&self, attacker: &tokio_postgres::Client, name: &str, attacks: &[&str]) {
        let before = self.world(name).await;
        for attack in attacks {
            let sql = self.fill(attack);
            let result = attacker.batch_execute(&sql).await;
            attacker.batch_execute("ROLLBACK; RESET ROLE").await.unwrap();
            match result {
                // without the right to, Postgres only warns
                Ok(()) => assert!(sql.starts_with("GRANT EXECUTE"), "was let through: {sql}"),
                refused => assert_eq!(refusal(refused), "42501", "{sql}"),
            }
            assert_eq!(self.world(name).await, before, "{sql} changed something");
        }
    }
}

pub(crate) async fn the_agents_login_can_do_nothing_but_call_the_helpers(version: Version) {
    let stage = Stage::new(version).await;
    stage.refuses(&stage.lab.agent, "gk_agent", &AS_AGENT).await;
    for (attack, wanted) in HELPERS_AS_AGENT {
        let sql = stage.fill(attack);
        assert_eq!(refusal(stage.lab.agent.batch_execute(&sql).await), wanted, "{sql}");
    }
    let planted = stage.lab.agent.batch_execute("SELECT gk.clean_here('sess_01ARZ3NDEKTSV4RRFFQ69G5FAW')").await;
    let text = refusal_text(planted);
    assert!(text.contains("is not a disarmed minted role"), "{text}");
    assert!(stage.lab.login(&stage.mine).await.is_ok());
    let internal = "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace = 'gk'::regnamespace
                       AND has_function_privilege('gk_agent', p.oid, 'EXECUTE') ORDER BY proname";
    let callable: Vec<String> =
        stage.lab.dba.query(internal, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let names: Vec<&str> = callable.iter().map(|name| name.split(['(', '.']).nth(1).unwrap()).collect();
    let wanted = [
        "clean_here",
        "clock",
        "cut",
        "deadman",
        "deadman_leave",
        "deadman_tick",
        "disarm",
        "doctor",
        "extend",
        "kill",
        "min_iterations",
        "mint",
        "observe",
        "packs",
        "quiet",
        "reap",
        "stock",
        "sweep",
        "version",
        "zombies",
    ];
    assert_eq!(names, wanted, "the agent's whole world");
}

pub(crate) async fn a_minted_role_gains_nothing(version: Version) {
    let stage = Stage::new(version).await;
    let user = stage.lab.login(&stage.mine).await.unwrap();
    stage.refuses(&user, &stage.mine.role, &AS_USER).await;
    let rename = format!("ALTER ROLE {} RENAME TO evil", stage.mine.role);
    assert_eq!(refusal(user.batch_execute(&rename).await), "0A000");
    if stage.lab.pg.major() >= 15 {
        stage.refuses(&user, &stage.mine.role, &["GRANT ROLE TO victim"]).await;
    }
    if stage.lab.pg.major() >= 16 {
        stage.refuses(&user, &stage.mine.role, &["SET ROLE PACK"]).await;
    }
    stage.lab.end(&stage.mine).await;
}

/// Temporary objects come before everything else in a careless function's search path.
pub(crate) async fn shadowed_names_change_nothing(version: Version) {
    let lab = Lab::new(version).await;
    lab.agent
        .batch_execute(
            "CREATE TEMP TABLE pg_roles (oid oid, rolname name, rolsuper bool); CREATE TEMP TABLE fence (x int);
             CREATE TEMP TABLE pg_auth_members (roleid oid, member oid); CREATE TEMP TABLE setting (name text, value int);
             CREATE FUNCTION pg_temp.format(text, variadic text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'ALTER ROLE gk_agent SUPERUSER' $$;
             CREATE FUNCTION pg_temp.split_part(text, text, int) RETURNS text LANGUAGE sql AS $$ SELECT '4096' $$;
             CREATE FUNCTION pg_temp.always(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
             CREATE OPERATOR pg_temp.!~ (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.always);
             SET search_path = pg_temp, gk, public; SET standard_conforming_strings = off; SET DateStyle = 'SQL, DMY';
             SET TimeZone = 'America/New_York'; SET IntervalStyle = 'sql_standard'; SET check_function_bodies = off",
        )
        .await
        .unwrap();
    let session = Session::new();
    let minted = lab.mint(&session, &Mint::default()).await.unwrap();
    assert_eq!(minted.outcome, "created");
    assert!(lab.login(&session).await.is_ok());
    assert!(lab.truth("SELECT NOT rolsuper FROM pg_roles WHERE rolname = 'gk_agent'").await);
    assert!(lab.truth(&format!("SELECT f.valid_until = r.rolvaliduntil FROM gk.fence f JOIN pg_roles r ON r.rolname = '{}' AND r.oid = f.role_oid", session.role)).await);
    lab.end(&session).await;
}

pub(crate) async fn everybody_else_can_call_nothing(version: Version) {
    let lab = Lab::new(version).await;
    lab.dba.batch_execute("CREATE ROLE passerby LOGIN PASSWORD 'pw'").await.unwrap();
    let open = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'gk'::regnamespace AND has_function_privilege('passerby', oid, 'EXECUTE')";
    assert_eq!(lab.dba.query_one(open, &[]).await.unwrap().get::<_, i64>(0), 0);
    let schema = "SELECT has_schema_privilege('passerby', 'gk', 'USAGE')";
    assert!(!lab.truth(schema).await, "not even a look at what there is");
    let later = "SET ROLE gk_owner; CREATE FUNCTION gk.later() RETURNS int LANGUAGE sql AS 'SELECT 1'; RESET ROLE";
    lab.dba.batch_execute(later).await.unwrap();
    assert_eq!(lab.dba.query_one(open, &[]).await.unwrap().get::<_, i64>(0), 0, "what is made later is closed, too");
    lab.dba.batch_execute("DROP FUNCTION gk.later()").await.unwrap();
    let loose = "SELECT string_agg(proname, ',') FROM pg_proc WHERE pronamespace = 'gk'::regnamespace AND prokind = 'f'
                   AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)";
    let loose: Option<String> = lab.dba.query_one(loose, &[]).await.unwrap().get(0);
    assert_eq!(loose, None, "functions without a pinned search_path");
    let passerby = lab.pg.connect("passerby", "pw", "app").await.unwrap();
    assert_eq!(refusal(passerby.batch_execute("SELECT gk.version()").await), "42501");
}

/// Whoever gave away more, by hand or by an older script: the next bootstrap takes it back.
pub(crate) async fn a_repeated_bootstrap_takes_back_what_was_given_away(version: Version) {
    let lab = Lab::new(version).await;
    lab.dba
        .batch_execute(
            "GRANT EXECUTE ON FUNCTION gk.set_verifier(name, text) TO PUBLIC, gk_agent;
             GRANT EXECUTE ON PROCEDURE gk.deadman(interval, interval) TO PUBLIC; GRANT ALL ON gk.fence TO PUBLIC, gk_agent",
        )
        .await
        .unwrap();
    lab.dba.batch_execute(&script(&options())).await.unwrap();
    for (what, sql) in [
        ("a function", "SELECT NOT has_function_privilege('gk_agent', 'gk.set_verifier(name, text)', 'EXECUTE')"),
        ("a table", "SELECT NOT has_table_privilege('gk_agent', 'gk.fence', 'SELECT')"),
        (
            "a procedure",
            "SELECT NOT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a WHERE p.proname = 'deadman' AND a.grantee = 0)",
        ),
    ] {
        assert!(lab.truth(sql).await, "{what} stayed open");
    }
}

/// The server's log takes errors down with the statement that made them: ours are raised without it.
pub(crate) async fn an_error_of_the_server_carries_no_verifier(version: Version) {
    let lab = Lab::new(version).await;
    lab.dba.batch_execute("BEGIN; LOCK TABLE pg_authid IN EXCLUSIVE MODE").await.unwrap();
    let text = refusal_text(lab.mint(&Session::new(), &Mint::default()).await);
    lab.dba.batch_execute("ROLLBACK").await.unwrap();
    assert!(text.contains("could not create role") && !text.contains("SCRAM-SHA-256"), "{text}");
}
