//! A user who fights back: he is cut and disarmed, keeps his objects, and what cannot be dropped is told with its mend.

use crate::lab::{Lab, Mint, SOON, Session};
use gk_testkit::{TestPg, Version, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::task::JoinSet;

on_both_lines!(
    objects_in_two_databases_are_kept_and_go_to_the_heir,
    a_reconnect_storm_of_sixteen_clients_is_cut,
    a_prepared_transaction_is_told_with_its_mend,
    a_locked_row_of_his_own_role_does_not_keep_him_in,
    a_prepared_change_of_his_own_role_leaves_a_login_without_rights,
    a_direct_grant_of_a_dba_is_told_with_its_mend,
    a_friend_who_shares_the_role_loses_its_rights_with_it,
    a_role_that_has_to_stay_keeps_no_right,
    a_function_left_behind_runs_as_nobody,
    twenty_thousand_objects_are_left_to_the_dba,
    a_cancelled_drop_undoes_nothing_of_the_sweep,
);

/// A target where minted users may create things, and where transactions can be prepared.
pub(crate) async fn permissive(version: Version) -> Lab {
    let lab = Lab::with(TestPg::with(version).setting("max_prepared_transactions", "8")).await;
    lab.dba.batch_execute("GRANT CREATE ON SCHEMA public TO PUBLIC").await.unwrap();
    lab
}

pub(crate) async fn objects_in_two_databases_are_kept_and_go_to_the_heir(version: Version) {
    let lab = permissive(version).await;
    lab.pg.create_database("second").await;
    let second = lab.pg.superuser("second").await;
    second.batch_execute("GRANT CREATE ON SCHEMA public TO PUBLIC").await.unwrap();
    second.batch_execute(&crate::lab::script(&crate::lab::options())).await.unwrap();
    let session = lab.minted(&Mint::default()).await;
    let mine = "CREATE TABLE mine AS SELECT 1 AS a; CREATE VIEW my_view AS SELECT * FROM mine; SELECT lo_create(4242);
                ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC; CREATE TEMP TABLE gone (a int)";
    let here = lab.login(&session).await.unwrap();
    here.batch_execute(mine).await.unwrap();
    let there = lab.pg.connect(&session.role, &session.password, "second").await.unwrap();
    there.batch_execute(mine).await.unwrap();

    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed");
    lab.cut(&session).await;
    let detail = lab.reaped(&session, "elsewhere").await;
    assert!(detail.contains("in database second") && detail.contains("gk.clean_here"), "{detail}");
    let agent_there = lab.pg.connect("gk_agent", crate::lab::AGENT_PASSWORD, "second").await.unwrap();
    let cleaned: bool = agent_there.query_one("SELECT gk.clean_here($1)", &[&session.id]).await.unwrap().get(0);
    assert!(cleaned);
    lab.reaped(&session, "dropped").await;
    for db in [&lab.dba, &second] {
        let owner = "SELECT string_agg(DISTINCT relowner::regrole::text, ',') || (SELECT lomowner::regrole FROM pg_largeobject_metadata WHERE oid = 4242)
                       FROM pg_class WHERE relname IN ('mine', 'my_view') HAVING count(*) = 2";
        assert_eq!(db.query_one(owner, &[]).await.unwrap().get::<_, String>(0), "gk_heirgk_heir");
        assert_eq!(db.query_one("SELECT a FROM mine", &[]).await.unwrap().get::<_, i32>(0), 1);
    }
}

pub(crate) async fn a_reconnect_storm_of_sixteen_clients_is_cut(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let (stop, logins) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut storm = JoinSet::new();
    for _ in 0..16 {
        let (stop, logins) = (Arc::clone(&stop), Arc::clone(&logins));
        let dsn = lab.pg.dsn(&session.role, &session.password, "app");
        storm.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if let Ok((client, connection)) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await {
                    logins.fetch_add(1, Ordering::Relaxed);
                    let connection = tokio::spawn(connection);
                    drop(client.batch_execute("SELECT pg_sleep(0.2)").await);
                    drop(client);
                    drop(connection.await);
                }
            }
        });
    }
    let storming = || if logins.load(Ordering::Relaxed) > 3 { Ok(()) } else { Err("no storm yet") };
    eventually(SOON, "the storm rages", async || storming()).await;
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed");
    lab.cut(&session).await;
    lab.reaped(&session, "dropped").await;
    let zombies = lab.agent.query("SELECT * FROM gk.zombies()", &[]).await.unwrap();
    assert!(zombies.is_empty(), "a session outlived its role");
    stop.store(true, Ordering::Relaxed);
    storm.join_all().await;
}

pub(crate) async fn a_prepared_transaction_is_told_with_its_mend(version: Version) {
    let lab = permissive(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    user.batch_execute("BEGIN; CREATE TABLE kept (a int); PREPARE TRANSACTION 'it''s mine'").await.unwrap();
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed", "dropping can be held up, disarming cannot");
    lab.cut(&session).await;
    let detail = lab.reaped(&session, "stuck").await;
    assert!(detail.contains("in database app") && detail.contains("ROLLBACK PREPARED 'it''s mine'"), "{detail}");
    assert!(lab.login(&session).await.is_err());
    lab.dba.batch_execute("ROLLBACK PREPARED 'it''s mine'").await.unwrap();
    lab.reaped(&session, "dropped").await;
}

/// Who changes his own password and leaves the transaction open holds the very row that NOLOGIN has to change.
pub(crate) async fn a_locked_row_of_his_own_role_does_not_keep_him_in(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    user.batch_execute("BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'mine'").await.unwrap();
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed");
    assert!(user.batch_execute("COMMIT").await.is_err());
    lab.cut(&session).await;
    lab.reaped(&session, "dropped").await;
}

pub(crate) async fn a_prepared_change_of_his_own_role_leaves_a_login_without_rights(version: Version) {
    let lab = permissive(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    user.batch_execute("BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'mine'; PREPARE TRANSACTION 'p'").await.unwrap();
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "blocked");
    assert!(user.batch_execute("SELECT 1").await.is_err(), "he is cut all the same");
    let again = lab.login(&session).await.expect("Postgres shows the row as it was until the transaction ends");
    assert!(again.batch_execute("SELECT * FROM orders").await.is_err(), "but without any right");
    let (state, armed, _, detail) = lab.observed(&session).await.unwrap();
    assert_eq!((state.as_str(), armed), ("blocked", true));
    assert!(detail.contains("ROLLBACK PREPARED 'p'"), "{detail}");
    assert_eq!(crate::lab::refusal(lab.mint(&session, &Mint::generation(3)).await), "GK001");
    lab.swept(&session, "killed").await;
    lab.dba.batch_execute("ROLLBACK PREPARED 'p'").await.unwrap();
    lab.swept(&session, "disarmed").await;
    lab.swept(&session, "dropped").await;
}

pub(crate) async fn a_direct_grant_of_a_dba_is_told_with_its_mend(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    lab.dba.batch_execute(&format!("GRANT SELECT ON orders TO {}", session.role)).await.unwrap();
    lab.disarm(&session, 2).await.unwrap();
    let detail = lab.reaped(&session, "stuck").await;
    assert!(detail.contains("privileges for table public.orders"), "{detail}");
    let mend = detail.split_once("as a superuser or the grantor: ").unwrap().1.split_once(" (then").unwrap().0;
    lab.dba.batch_execute(mend).await.unwrap();
    lab.reaped(&session, "dropped").await;
}

/// Up to 14 a role may make others members of itself; here a DBA does it, which later versions allow too.
pub(crate) async fn a_friend_who_shares_the_role_loses_its_rights_with_it(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let share = format!("CREATE ROLE friend LOGIN PASSWORD 'pw'; GRANT {} TO friend", session.role);
    lab.dba.batch_execute(&share).await.unwrap();
    let friend = lab.pg.connect("friend", "pw", "app").await.unwrap();
    friend.batch_execute("SELECT * FROM orders").await.unwrap();
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed");
    assert_eq!(crate::lab::refusal(friend.batch_execute("SELECT * FROM orders").await), "42501");
    lab.reaped(&session, "dropped").await;
}

pub(crate) async fn a_role_that_has_to_stay_keeps_no_right(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    lab.dba
        .batch_execute(&format!("CREATE SCHEMA kept; GRANT USAGE ON SCHEMA kept TO {}", session.role))
        .await
        .unwrap();
    lab.disarm(&session, 2).await.unwrap();
    lab.reaped(&session, "stuck").await;
    assert!(lab.truth(&format!("SELECT NOT has_table_privilege('{}', 'orders', 'SELECT')", session.role)).await);
}

/// A SECURITY DEFINER function must not gain power when its maker's role is dropped.
pub(crate) async fn a_function_left_behind_runs_as_nobody(version: Version) {
    let lab = Lab::new(version).await;
    lab.dba.batch_execute("CREATE SCHEMA shop").await.unwrap();
    let session: Session = lab.minted(&Mint::default()).await;
    lab.dba.batch_execute(&format!("GRANT CREATE, USAGE ON SCHEMA shop TO {}", session.role)).await.unwrap();
    let user = lab.login(&session).await.unwrap();
    let function =
        "CREATE FUNCTION shop.who() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text'";
    user.batch_execute(function).await.unwrap();
    lab.disarm(&session, 2).await.unwrap();
    lab.cut(&session).await;
    let detail = lab.reaped(&session, "stuck").await;
    assert!(detail.contains("GRANT CREATE ON SCHEMA shop TO gk_heir;"), "{detail}");
    lab.dba.batch_execute("GRANT CREATE ON SCHEMA shop TO gk_heir").await.unwrap();
    let detail = lab.reaped(&session, "stuck").await;
    assert!(detail.contains("privileges for schema shop"), "{detail}");
    lab.dba.batch_execute(&format!("REVOKE ALL ON SCHEMA shop FROM {}", session.role)).await.unwrap();
    lab.reaped(&session, "dropped").await;
    assert_eq!(lab.dba.query_one("SELECT shop.who()", &[]).await.unwrap().get::<_, String>(0), "gk_heir");
}

pub(crate) async fn twenty_thousand_objects_are_left_to_the_dba(version: Version) {
    let lab = permissive(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    user.batch_execute("SELECT count(lo_create(0)) FROM generate_series(1, 20001)").await.unwrap();
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed");
    lab.cut(&session).await;
    let detail = lab.reaped(&session, "stuck").await;
    let mend = format!("REASSIGN OWNED BY {0} TO gk_heir; DROP OWNED BY {0};", session.role);
    assert!(detail.contains("too many") && detail.contains(&mend), "{detail}");
    lab.dba.batch_execute(&mend).await.unwrap();
    lab.reaped(&session, "dropped").await;
}

pub(crate) async fn a_cancelled_drop_undoes_nothing_of_the_sweep(version: Version) {
    let lab = permissive(version).await;
    let (slow, over) = (lab.minted(&Mint::default()).await, lab.minted(&Mint::default()).await);
    lab.login(&slow).await.unwrap().batch_execute("CREATE TABLE held (a int)").await.unwrap();
    assert_eq!(lab.disarm(&slow, 2).await.unwrap(), "disarmed");
    lab.cut(&slow).await;
    lab.dba.batch_execute("BEGIN; LOCK TABLE held").await.unwrap();
    // below the sweep's own lock_timeout, so that it is the whole statement that is cancelled
    lab.agent.batch_execute("SET statement_timeout = '400ms'").await.unwrap();
    let detail = lab.swept(&slow, "stuck").await;
    assert!(detail.contains("57014") && detail.contains("SET statement_timeout = 0"), "{detail}");
    let both_due = "UPDATE gk.fence SET next_try_at = NULL, ends_at = clock_timestamp()";
    lab.pg.superuser("app").await.batch_execute(both_due).await.unwrap();
    let done = lab.sweep().await;
    for (session, outcome) in [(&slow, "stuck"), (&over, "disarmed")] {
        assert!(done.iter().any(|(id, what, _)| *id == session.id && what == outcome), "{done:?}");
    }
    assert!(!lab.observed(&over).await.unwrap().1, "its end was kept");
    lab.dba.batch_execute("COMMIT").await.unwrap();
}
