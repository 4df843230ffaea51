//! A session from its mint to its end, as it should be.

use crate::lab::{Lab, Mint, SOON, Session, refusal};
use gk_testkit::{Version, eventually};
use std::time::Duration;

on_both_lines!(
    a_session_reads_is_refused_a_write_and_is_gone,
    the_role_carries_its_session_its_limits_and_no_attribute,
    a_session_ends_when_its_user_changed_his_own_password,
    the_connection_limit_holds_and_never_exceeds_the_packs,
    a_role_is_dropped_only_after_two_quiet_looks,
    disarm_kill_and_drop_in_one_transaction_do_not_drop,
    a_role_in_use_is_busy,
    a_session_gets_longer_by_extension_alone,
);

pub(crate) async fn a_session_reads_is_refused_a_write_and_is_gone(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    let seen: i64 = user.query_one("SELECT count(*) FROM orders", &[]).await.unwrap().get(0);
    assert_eq!(seen, 100);
    assert_eq!(refusal(user.batch_execute("DELETE FROM orders").await), "42501");
    assert_eq!(lab.observed(&session).await, Some(("minted".into(), true, 1, String::new())));

    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed");
    assert_eq!(refusal(user.batch_execute("SELECT * FROM orders").await), "42501", "rights end before the kill");
    assert!(lab.login(&session).await.is_err());
    assert!(lab.login(&session).await.is_err(), "nobody else comes in");
    assert_eq!(lab.reap(&session).await.unwrap().0, "busy");
    assert_eq!(lab.kill(&session).await.unwrap(), 1);
    eventually(SOON, "the client is cut", async || user.is_closed().then_some(()).ok_or("open")).await;
    lab.cut(&session).await;
    lab.reaped(&session, "dropped").await;

    assert!(!lab.role_exists(&session).await);
    assert_eq!(lab.observed(&session).await, None);
    assert_eq!(lab.disarm(&session, 3).await.unwrap(), "dropped", "every step may be repeated");
    assert_eq!(lab.kill(&session).await.unwrap(), 0);
    assert_eq!(lab.reap(&session).await.unwrap().0, "dropped");
    assert!(lab.agent.query("SELECT * FROM gk.zombies()", &[]).await.unwrap().is_empty());
}

pub(crate) async fn the_role_carries_its_session_its_limits_and_no_attribute(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let row = lab
        .dba
        .query_one(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls, rolconnlimit,
                    shobj_description(oid, 'pg_authid'), rolvaliduntil - clock_timestamp() BETWEEN '9 min' AND '10 min',
                    (SELECT rolpassword FROM pg_authid a WHERE a.oid = r.oid)
               FROM pg_roles r WHERE rolname = $1",
            &[&session.role],
        )
        .await
        .unwrap();
    assert!(!row.get::<_, bool>(0), "attributes");
    assert_eq!(row.get::<_, i32>(1), 3);
    assert_eq!(row.get::<_, String>(2), format!("gatekeeper {} database app", session.id));
    assert!(row.get::<_, bool>(3), "expiry");
    assert_eq!(row.get::<_, String>(4), session.verifier, "the verifier is stored byte for byte");
}

pub(crate) async fn a_session_ends_when_its_user_changed_his_own_password(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    user.batch_execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'").await.unwrap();
    assert_eq!(
        refusal(user.batch_execute(&format!("ALTER ROLE {} VALID UNTIL 'infinity'", session.role)).await),
        "42501"
    );
    assert_eq!(refusal(user.batch_execute(&format!("ALTER ROLE {} CONNECTION LIMIT 99", session.role)).await), "42501");
    let with_his_own = session.with_secret("mine");
    assert!(lab.login(&with_his_own).await.is_ok(), "Postgres lets a role change its own password");
    lab.end(&session).await;
    assert!(lab.login(&with_his_own).await.is_err());
}

pub(crate) async fn the_connection_limit_holds_and_never_exceeds_the_packs(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint { conn_limit: Some(1), ..Mint::default() }).await;
    let _first = lab.login(&session).await.unwrap();
    assert_eq!(refusal(lab.login(&session).await.map(drop)), "53300");
    for conn_limit in [Some(0), Some(-1), Some(4), Some(i32::MAX)] {
        let too_many = Mint { conn_limit, ..Mint::default() };
        assert_eq!(refusal(lab.mint(&Session::new(), &too_many).await), "22023", "{conn_limit:?}");
    }
}

pub(crate) async fn a_role_is_dropped_only_after_two_quiet_looks(version: Version) {
    let lab = Lab::new(version).await;
    lab.dba.batch_execute("UPDATE gk.setting SET value = 60000 WHERE name = 'settle_ms'").await.unwrap();
    let session = lab.minted(&Mint::default()).await;
    lab.disarm(&session, 2).await.unwrap();
    for _ in 0..3 {
        assert_eq!(lab.reap(&session).await.unwrap().0, "settling");
    }
    assert!(lab.role_exists(&session).await);
    lab.dba.batch_execute("UPDATE gk.setting SET value = 1 WHERE name = 'settle_ms'").await.unwrap();
    lab.reaped(&session, "dropped").await;
}

pub(crate) async fn disarm_kill_and_drop_in_one_transaction_do_not_drop(version: Version) {
    let lab = Lab::new(version).await;
    lab.dba.batch_execute("UPDATE gk.setting SET value = 0 WHERE name = 'settle_ms'").await.unwrap();
    let session = lab.minted(&Mint::default()).await;
    let sql = format!(
        "BEGIN; SELECT gk.disarm('{0}', 2); SELECT gk.kill('{0}'); SELECT * FROM gk.reap('{0}'); \
                       SELECT * FROM gk.reap('{0}'); COMMIT",
        session.id
    );
    lab.agent.batch_execute(&sql).await.unwrap();
    assert!(lab.role_exists(&session).await, "NOLOGIN stops nobody before it is committed");
    lab.reaped(&session, "dropped").await;
}

pub(crate) async fn a_session_gets_longer_by_extension_alone(version: Version) {
    let lab = Lab::new(version).await;
    let session = Session::new();
    let minted = lab.mint(&session, &Mint::default()).await.unwrap();
    let extend = async |generation: i64, end: jiff::Timestamp| {
        let sql = "SELECT valid_until, outcome FROM gk.extend($1, $2, $3, clock_timestamp() + '10 s')";
        let row = lab.agent.query_one(sql, &[&session.id, &generation, &end]).await?;
        Ok::<_, tokio_postgres::Error>((row.get::<_, jiff::Timestamp>(0), row.get::<_, String>(1)))
    };
    let later = minted.until + Duration::from_secs(600);
    assert_eq!(extend(2, later).await.unwrap(), (later, "extended".into()));
    assert_eq!(extend(2, later).await.unwrap(), (later, "unchanged".into()), "a repeat changes nothing");
    assert_eq!(extend(3, minted.until).await.unwrap(), (later, "unchanged".into()), "it never shortens");
    assert_eq!(refusal(extend(2, later + Duration::from_secs(60)).await), "GK001");
    assert_eq!(refusal(extend(4, minted.until + Duration::from_secs(4 * 3600)).await), "22023", "the pack's max_ttl");
    assert!(lab.truth(&format!("SELECT rolvaliduntil = (SELECT valid_until FROM gk.fence WHERE session = '{}') FROM pg_roles WHERE rolname = '{}'", session.id, session.role)).await);
    lab.end(&session).await;
    assert_eq!(refusal(extend(100, later).await), "GK001");
}

pub(crate) async fn a_role_in_use_is_busy(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    lab.disarm(&session, 2).await.unwrap();
    assert_eq!(lab.reap(&session).await.unwrap().0, "busy");
    drop(user);
    lab.cut(&session).await;
    lab.reaped(&session, "dropped").await;
}
