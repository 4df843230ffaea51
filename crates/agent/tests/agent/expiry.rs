//! The end of a session's time, with the control plane away, with the agent away, and behind its back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gk_agent::config::TargetConfig;
use gk_shared::wire::job::JobOutcome;
use gk_testkit::{Version, eventually};
use tokio::net::{TcpListener, TcpStream};

use super::lab::{Agent, SOON, Session, cut, gone, login, target, target_config};
use super::plane::Plane;

on_both_lines! {
    an_expired_session_is_cut_without_the_control_plane,
    a_login_that_should_not_be_is_ended_without_a_job,
    a_dead_agent_leaves_the_deadman_cutting,
}

async fn an_expired_session_is_cut_without_the_control_plane(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let session = Session::new();
    let job = session.create(5);
    plane.queue(&job, 1);
    let outcome = plane.outcome(&job).await;
    plane.script().down = true;
    let JobOutcome::Minted { expires_at, .. } = outcome else { panic!("{outcome:?}") };
    let dsn = session.dsn(&outcome);
    let (user, admin) = (login(&dsn).await.unwrap(), pg.superuser("app").await);
    cut(&user).await;
    let sql = "SELECT extract(epoch FROM disarmed_at - $1)::float8 FROM gk.fence WHERE session = $2";
    // The connection is cut before the transaction that closes the login is seen.
    let late =
        async || admin.query_one(sql, &[&expires_at, &session.id.to_string()]).await.unwrap().get::<_, Option<f64>>(0);
    eventually(SOON, "the login is closed, and not before its end", async || match late().await {
        Some(late) if late >= 0.0 => Ok(()),
        other => Err(format!("{other:?} s after it")),
    })
    .await;
    assert!(login(&dsn).await.is_err());
    gone(&pg, &session).await;

    plane.script().down = false;
    eventually(SOON, "the control plane is told", async || {
        let told = plane.script().observations.iter().any(|seen| seen.dropped.contains(&session.id));
        if told { Ok(()) } else { Err("it is not") }
    })
    .await;
}

async fn a_login_that_should_not_be_is_ended_without_a_job(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let _agent = Agent::start(&plane, vec![target_config(&pg)]);
    let (wanted, unwanted) = (Session::new(), Session::new());
    let kept = wanted.minted(&plane, 600).await;
    let dsn = unwanted.minted(&plane, 600).await;
    let user = login(&dsn).await.unwrap();
    // The job that should have ended it is lost; the next look finds it.
    plane.script().absent.insert(unwanted.id, 2);
    cut(&user).await;
    gone(&pg, &unwanted).await;
    assert!(login(&kept).await.is_ok(), "nobody else is touched");
}

async fn a_dead_agent_leaves_the_deadman_cutting(version: Version) {
    let (pg, plane) = (target(version).await, Plane::start().await);
    let mut program = super::program::Program::run(&plane, &pg).await;
    let session = Session::new();
    let dsn = session.minted(&plane, 6).await;
    let user = login(&dsn).await.unwrap();
    let admin = pg.superuser("app").await;
    eventually(SOON, "the deadman runs", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL gk.deadman%' AND state = 'active'";
        let running: i64 = admin.query_one(sql, &[]).await.unwrap().get(0);
        if running == 1 { Ok(()) } else { Err(format!("{running} of them")) }
    })
    .await;
    program.kill9();
    assert!(!user.is_closed(), "still within its time");
    let begun = Instant::now();
    cut(&user).await;
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(login(&dsn).await.is_err());
    gone(&pg, &session).await;
}

/// A target that is gone when a session is over is asked about it now and then, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overdue_session_on_a_dead_target_is_no_busy_loop() {
    let (mut pg, plane) = (target(Version::From16).await, Plane::start().await);
    let (proxy, knocks) = counting_proxy(pg.port()).await;
    let _agent = Agent::start(&plane, vec![TargetConfig { port: proxy, ..target_config(&pg) }]);
    let session = Session::new();
    session.minted(&plane, 5).await;
    pg.kill9();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = knocks.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let knocked = knocks.load(Ordering::SeqCst) - before;
    assert!((1..=30).contains(&knocked), "{knocked} connections in three seconds");
    pg.start_again().await;
    gone(&pg, &session).await;
}

/// Passes connections on to `port` and counts them.
async fn counting_proxy(port: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (own, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    (own, count)
}
