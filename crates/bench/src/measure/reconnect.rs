//! Revoke against clients that come back at once: how soon none of them is there any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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

const CLOCK: &str = "-- bench::clock\nSELECT extract(epoch FROM clock_timestamp())::float8";
const BEGAN: &str =
    "-- bench::crowd\nSELECT extract(epoch FROM backend_start)::float8 FROM pg_stat_activity, pg_sleep(0.005)
    WHERE pid = pg_backend_pid()";

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
    let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Accepted::default());
    let crowd: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(insist(opened_uri(&opened), Arc::clone(&stop), accepted.clone()))).collect();
    while accepted.by(f64::INFINITY) < 32 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    let revoke = async {
        ours::revoke(client, opened.view.session_id).await;
        tokio::time::sleep(WATCHED_ON).await;
        stop.store(true, Ordering::Relaxed);
    };
    let watch = watch(&lab.observer, &opened.view.database_user, &stop);
    let ((), (gone, at)) = tokio::join!(revoke, watch);
    for one in crowd {
        one.await.expect("a client of the crowd does not panic");
    }
    let before = accepted.by(at);
    (gone.duration_since(begun), before, accepted.by(f64::INFINITY) - before)
}

/// Logins that were accepted: when each began, in seconds of the target's clock. A client may hear of its own late.
#[derive(Clone, Default)]
struct Accepted(Arc<Mutex<Vec<f64>>>);

impl Accepted {
    /// How many began by then.
    fn by(&self, moment: f64) -> u32 {
        let began = self.0.lock().expect("nobody panics with it");
        u32::try_from(began.iter().filter(|began| **began <= moment).count()).unwrap_or(u32::MAX)
    }

    fn add(&self, began: f64) {
        self.0.lock().expect("nobody panics with it").push(began);
    }
}

/// Looks until `stop`: the first look after which no connection was seen any more, and the target's time just before it.
async fn watch(observer: &tokio_postgres::Client, user: &str, stop: &AtomicBool) -> (Instant, f64) {
    let mut gone = None;
    while !stop.load(Ordering::Relaxed) {
        let clock = observer.query_one(CLOCK, &[]).await.expect("the observer may ask").get(0);
        let there = ours::backends(observer, user).await > 0;
        gone = gone.filter(|_| !there).or_else(|| (!there).then(|| (Instant::now(), clock)));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    gone.expect("a revoked session has no connection")
}

fn opened_uri(opened: &Opened) -> String {
    opened.dsn.to_uri().expose().to_owned()
}

/// Connects, asks, goes, and comes back.
async fn insist(uri: String, stop: Arc<AtomicBool>, accepted: Accepted) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((client, connection)) = tokio_postgres::connect(&uri, NoTls).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let connection = tokio::spawn(connection);
        if let Ok(row) = client.query_one(BEGAN, &[]).await {
            accepted.add(row.get(0));
        }
        drop(client);
        let _ = connection.await;
    }
}
