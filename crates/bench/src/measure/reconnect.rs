//! Revoke against clients that come back at once: how soon none of them is there any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gk_cli::client::Opened;
use gk_e2e::TARGET;
use tokio_postgres::NoTls;

use super::{Findings, Plan};
use crate::lab::{Lab, LabOptions};
use crate::ours;
use crate::report::{Table, Wanted, row, timed};
use crate::stats::Sample;

const CLIENTS: usize = 16;
/// How long the clients go on trying after the session was revoked.
const WATCHED_ON: Duration = Duration::from_millis(300);

const ABOUT: &str = "Sixteen clients of one session connect, ask, disconnect after a few milliseconds and connect again without a \
    pause, whatever error they get. The session is revoked in the midst of it; measured is the time from the call until the target \
    shows no connection of the session, and that none was accepted after that.";

pub(super) async fn run(plan: &Plan) -> Findings {
    let lab = Lab::start(LabOptions::with_callers(1)).await;
    let mut sample = Sample::default();
    let (mut accepted, mut late) = (0, 0);
    for _ in 0..plan.ends {
        let (elapsed, before, after) = one(&lab).await;
        sample.add(elapsed);
        accepted += before;
        late += after;
    }
    let figures = sample.figures();
    let mut findings = Findings::about("Revoke against clients that reconnect", ABOUT);
    let mut table = Table::of_times("");
    table.rows.push(timed("revoke → last connection gone", CLIENTS, &figures));
    let mut logins = Table::new("Logins", &["", "accepted"]);
    logins.rows.push(row!["before the last connection was gone", usize::try_from(accepted).unwrap_or_default()]);
    logins.rows.push(row!["after it", usize::try_from(late).unwrap_or_default()]);
    findings.tables = vec![table, logins];
    findings.wanted = vec![
        Wanted::at_most("revoke → last connection gone, 16 reconnecting clients, p99", figures.p99_ms, 100.0, " ms"),
        Wanted::at_most("logins accepted after that", f64::from(late), 0.0, ""),
    ];
    findings.used("Postgres of ledger and target", &lab.stack.target.major().to_string());
    findings
}

/// One session: the time, and the logins accepted until then and after.
async fn one(lab: &Lab) -> (Duration, u32, u32) {
    let client = &lab.clients[0];
    let mut asked = ours::request(TARGET, 900);
    asked.max_connections = Some(u16::try_from(CLIENTS).expect("sixteen fits"));
    let opened = ours::open(client, asked).await;
    let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let crowd: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(insist(opened_uri(&opened), Arc::clone(&stop), Arc::clone(&accepted))))
        .collect();
    while accepted.load(Ordering::Relaxed) < 32 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    let revoke = async {
        ours::revoke(client, opened.view.session_id).await;
        tokio::time::sleep(WATCHED_ON).await;
        stop.store(true, Ordering::Relaxed);
    };
    let watch = watch(&lab.observer, &opened.view.database_user, &stop, &accepted);
    let ((), (gone, before)) = tokio::join!(revoke, watch);
    for one in crowd {
        one.await.expect("a client of the crowd does not panic");
    }
    (gone.duration_since(begun), before, accepted.load(Ordering::Relaxed) - before)
}

/// Looks until `stop`: the first look after which no connection was seen any more, and the logins accepted by then.
async fn watch(
    observer: &tokio_postgres::Client,
    user: &str,
    stop: &AtomicBool,
    accepted: &AtomicU32,
) -> (Instant, u32) {
    let mut gone = None;
    while !stop.load(Ordering::Relaxed) {
        let there = ours::backends(observer, user).await > 0;
        gone = gone.filter(|_| !there).or_else(|| (!there).then(|| (Instant::now(), accepted.load(Ordering::Relaxed))));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    gone.expect("a revoked session has no connection")
}

fn opened_uri(opened: &Opened) -> String {
    opened.dsn.to_uri().expose().to_owned()
}

/// Connects, asks, goes, and comes back.
async fn insist(uri: String, stop: Arc<AtomicBool>, accepted: Arc<AtomicU32>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((client, connection)) = tokio_postgres::connect(&uri, NoTls).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let connection = tokio::spawn(connection);
        if client.simple_query("-- bench::crowd\nSELECT pg_sleep(0.005)").await.is_ok() {
            accepted.fetch_add(1, Ordering::Relaxed);
        }
        drop(client);
        let _ = connection.await;
    }
}
