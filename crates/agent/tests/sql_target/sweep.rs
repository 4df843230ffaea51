//! Expiry by the target alone: no control plane, and in the first test no agent either.

use crate::lab::{Lab, Mint, SOON, Session};
use gk_testkit::{Version, eventually};

on_both_lines!(
    an_expired_login_is_refused_with_nobody_acting,
    the_sweep_cuts_and_drops_what_has_expired,
    a_clock_that_was_set_back_lengthens_no_session,
    four_sweepers_end_forty_sessions_without_an_error,
    sessions_that_cannot_be_dropped_never_hold_up_others,
    old_tombstones_are_forgotten_and_young_ones_kept,
);

pub(crate) async fn an_expired_login_is_refused_with_nobody_acting(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::ttl("1 second")).await;
    lab.login(&session).await.expect("before its end");
    eventually(SOON, "the login is refused", async || lab.login(&session).await.err().map(drop).ok_or("let in")).await;
    assert!(lab.truth("SELECT valid_until <= clock_timestamp() FROM gk.fence").await, "not before its end");
}

pub(crate) async fn the_sweep_cuts_and_drops_what_has_expired(version: Version) {
    let lab = Lab::new(version).await;
    let (over, live) = (lab.minted(&Mint::ttl("1 second")).await, lab.minted(&Mint::default()).await);
    let (cut, kept) = (lab.login(&over).await.unwrap(), lab.login(&live).await.unwrap());
    lab.swept(&over, "disarmed").await;
    eventually(SOON, "its connection is cut", async || cut.is_closed().then_some(()).ok_or("open")).await;
    lab.swept(&over, "dropped").await;
    kept.batch_execute("SELECT * FROM orders").await.expect("who has time left is not touched");
    assert!(lab.sweep().await.is_empty(), "nothing is left to do");
}

pub(crate) async fn a_clock_that_was_set_back_lengthens_no_session(version: Version) {
    let lab = Lab::new(version).await;
    let before = lab.minted(&Mint::default()).await;
    // the server was seen an hour ahead of where its clock stands now
    lab.dba.batch_execute("UPDATE gk.clock_mark SET max_seen = clock_timestamp() + '1 hour'").await.unwrap();
    let after = lab.minted(&Mint::default()).await;
    lab.swept(&before, "disarmed").await;
    lab.sweep().await;
    assert_eq!(lab.observed(&after).await.unwrap().0, "minted", "a new session has its whole time");
    let sql = "SELECT ok, mend FROM gk.doctor() WHERE check_name = 'clock'";
    let row = lab.agent.query_one(sql, &[]).await.unwrap();
    assert!(!row.get::<_, bool>(0) && row.get::<_, String>(1).contains("clock_mark"));
}

pub(crate) async fn four_sweepers_end_forty_sessions_without_an_error(version: Version) {
    let lab = Lab::new(version).await;
    let mut users = Vec::new();
    for number in 0..40 {
        let session = lab.minted(&Mint::default()).await;
        if number % 4 == 0 {
            users.push(lab.login(&session).await.unwrap());
        }
    }
    lab.dba.batch_execute("UPDATE gk.fence SET ends_at = clock_timestamp()").await.unwrap();
    let sweeper = async || {
        let agent = lab.another_agent().await;
        eventually(SOON, "all are closed", async || {
            let rows = agent.query("SELECT outcome, detail FROM gk.sweep(100)", &[]).await.unwrap();
            for row in rows {
                let outcome: String = row.get(0);
                let good = ["disarmed", "killed", "dropped"].contains(&outcome.as_str());
                assert!(good, "{outcome}: {}", row.get::<_, String>(1));
            }
            let left = agent.query("SELECT session FROM gk.observe()", &[]).await.unwrap().len();
            if left == 0 { Ok(()) } else { Err(format!("{left} left")) }
        })
        .await;
    };
    futures_util::future::join4(sweeper(), sweeper(), sweeper(), sweeper()).await;
    assert!(lab.agent.query("SELECT * FROM gk.zombies()", &[]).await.unwrap().is_empty());
    assert!(users.iter().all(tokio_postgres::Client::is_closed));
}

pub(crate) async fn sessions_that_cannot_be_dropped_never_hold_up_others(version: Version) {
    let lab = Lab::new(version).await;
    let mut poisoned = Vec::new();
    for _ in 0..10 {
        let session = lab.minted(&Mint::default()).await;
        lab.dba.batch_execute(&format!("GRANT SELECT ON orders TO {}", session.role)).await.unwrap();
        poisoned.push(session);
    }
    let normal = lab.minted(&Mint::default()).await;
    lab.dba.batch_execute("UPDATE gk.fence SET ends_at = clock_timestamp()").await.unwrap();
    lab.swept(&normal, "dropped").await;
    for session in &poisoned {
        eventually(SOON, "it is called stuck", async || {
            lab.sweep().await;
            let (state, armed, ..) = lab.observed(session).await.unwrap();
            if state == "stuck" && !armed { Ok(()) } else { Err(state) }
        })
        .await;
    }
    assert!(lab.sweep().await.is_empty(), "who has just failed waits before the next try");
    lab.dba.batch_execute("UPDATE gk.fence SET tries = 30, next_try_at = NULL").await.unwrap();
    lab.sweep().await;
    let capped = "SELECT bool_and(next_try_at - clock_timestamp() BETWEEN '30 s' AND '60 s') FROM gk.fence WHERE state = 'stuck'";
    assert!(lab.truth(capped).await, "retried for ever, at least once a minute");
}

pub(crate) async fn old_tombstones_are_forgotten_and_young_ones_kept(version: Version) {
    let lab = Lab::new(version).await;
    let (old, young) = (Session::new(), Session::new());
    for session in [&old, &young] {
        lab.disarm(session, 1).await.unwrap();
    }
    let age = "UPDATE gk.fence SET closed_at = closed_at - interval '31 days' WHERE session = $1";
    lab.dba.execute(age, &[&old.id]).await.unwrap();
    lab.sweep().await;
    let left = lab.dba.query("SELECT session FROM gk.fence", &[]).await.unwrap();
    assert_eq!(left.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), [young.id]);
}
