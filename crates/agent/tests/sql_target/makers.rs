//! The makers: roles that share the making of sessions' roles, so that no session makes the next one dearer.

use crate::lab::{Lab, Mint, refusal};
use gk_testkit::Version;

on_both_lines!(
    the_makers_of_roles_reach_what_they_made_and_are_reached_by_the_owner_alone,
    many_sessions_are_spread_over_the_makers,
);

/// From 16 on the makers share the work; before, there are none, and CREATEROLE reached everything.
async fn the_makers_of_roles_reach_what_they_made_and_are_reached_by_the_owner_alone(version: Version) {
    let lab = Lab::new(version).await;
    let makers: i64 = lab.dba.query_one("SELECT count(*) FROM gk.maker", &[]).await.unwrap().get(0);
    assert_eq!(makers, if version == Version::From16 { 32 } else { 0 });
    if makers == 0 {
        return;
    }
    for call in ["gk.as_maker_1('CREATE ROLE evil LOGIN')", "gk.as_maker_32('DROP ROLE gk_heir')"] {
        assert_eq!(refusal(lab.agent.batch_execute(&format!("SELECT {call}")).await), "42501", "{call}");
    }
    lab.dba.batch_execute("CREATE ROLE victim LOGIN; CREATE ROLE bystander NOLOGIN").await.unwrap();
    let session = lab.minted(&Mint::default()).await;
    for sql in [
        "ALTER ROLE victim PASSWORD 'x'",
        "DROP ROLE bystander",
        "GRANT pg_read_all_data TO victim",
        "GRANT gk_owner TO victim",
        "CREATE ROLE evil SUPERUSER",
        "CREATE ROLE evil BYPASSRLS",
        "SELECT * FROM gk.fence",
        "SELECT * FROM public.orders",
    ] {
        lab.dba.batch_execute("BEGIN; SET LOCAL ROLE gk_owner").await.unwrap();
        let call = lab.dba.execute("SELECT gk.as_maker_3($1)", &[&sql]).await;
        assert_eq!(refusal(call), "42501", "{sql}");
        lab.dba.batch_execute("ROLLBACK").await.unwrap();
    }
    let administrators = "SELECT string_agg(m.member::regrole::text, ',') FROM pg_auth_members m
                           WHERE m.roleid = to_regrole($1) AND m.admin_option";
    let maker: String = lab.dba.query_one(administrators, &[&session.role]).await.unwrap().get(0);
    assert!(maker.starts_with("gkmaker_"), "{maker}");
    assert!(lab.truth("SELECT NOT pg_has_role('gk_owner', 'gkmaker_01_' || (SELECT oid FROM pg_database WHERE datname = current_database()), 'MEMBER')").await);
    lab.end(&session).await;
}

async fn many_sessions_are_spread_over_the_makers(version: Version) {
    let lab = Lab::new(version).await;
    for _ in 0..40 {
        lab.minted(&Mint::default()).await;
    }
    let most = "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM pg_auth_members m JOIN gk.maker k ON k.role_oid = m.member
                 WHERE m.admin_option GROUP BY m.member) x";
    let most: i64 = lab.dba.query_one(most, &[]).await.unwrap().get(0);
    let none = version == Version::Before16;
    assert!(if none { most == 0 } else { (2..=12).contains(&most) }, "{most} sessions with one maker");
}
