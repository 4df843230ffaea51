//! The warm stock as the agent keeps it: spares on the target for the secrets in its memory, none left when it is gone.

use gk_testkit::{TestPg, Version, eventually};
use tokio_postgres::Client;

use super::lab::{Agent, SOON, Session, login, target, target_config};
use super::plane::Plane;

on_both_lines! {
    an_agent_keeps_spares_mints_with_them_and_leaves_none_behind,
    a_target_without_spares_is_minted_on_all_the_same,
}

async fn spares(admin: &Client) -> Vec<u32> {
    let rows = admin.query("SELECT oid FROM pg_roles WHERE rolname ~ '^gkspare_'", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn are(admin: &Client, wanted: usize) -> Vec<u32> {
    eventually(SOON, "as many spares as wanted", async || match spares(admin).await {
        found if found.len() == wanted => Ok(found),
        found => Err(format!("{} and not {wanted}", found.len())),
    })
    .await
}

async fn oid_of(admin: &Client, session: &Session) -> u32 {
    let role = session.id.role_name().to_string();
    admin.query_one("SELECT oid FROM pg_roles WHERE rolname = $1", &[&role]).await.unwrap().get(0)
}

async fn prepared(version: Version) -> (TestPg, Client, Plane) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let admin = pg.superuser("app").await;
    (pg, admin, plane)
}

async fn an_agent_keeps_spares_mints_with_them_and_leaves_none_behind(version: Version) {
    let (pg, admin, plane) = prepared(version).await;
    let agent = Agent::start(&plane, vec![target_config(&pg)]);
    let mut waiting = are(&admin, 8).await;
    for _ in 0..3 {
        let session = Session::new();
        let dsn = session.minted(&plane, 600).await;
        assert!(waiting.contains(&oid_of(&admin, &session).await), "a role that waited");
        assert!(login(&dsn).await.is_ok());
        waiting = are(&admin, 8).await;
    }
    agent.stop().await;
    are(&admin, 0).await;
}

async fn a_target_without_spares_is_minted_on_all_the_same(version: Version) {
    let (pg, admin, plane) = prepared(version).await;
    admin.batch_execute("UPDATE gk.setting SET value = 0 WHERE name = 'spare_limit'").await.unwrap();
    let agent = Agent::start(&plane, vec![target_config(&pg)]);
    let dsn = Session::new().minted(&plane, 600).await;
    assert!(login(&dsn).await.is_ok());
    assert!(spares(&admin).await.is_empty());
    agent.stop().await;
    admin.batch_execute("DROP FUNCTION gk.stock(text)").await.unwrap();
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let dsn = Session::new().minted(&plane, 600).await;
    assert!(login(&dsn).await.is_ok(), "helpers of an earlier bootstrap have no stock");
}
