//! F27, F37: ends that meet in the same millisecond, and a job table that is emptied under load.

use super::Hits;
use crate::stage::Stage;
use crate::workload::{Caller, Wish};
use futures_util::future::join_all;
use gk_shared::ids::SessionId;
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough to be made on a busy machine.
const TTL: u32 = 12;
const OFTEN: Duration = Duration::from_millis(60);

/// F37.
pub(super) async fn truncated(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let sql = "-- faults::truncated\nWITH gone AS (DELETE FROM jobs RETURNING 1) SELECT count(*) FROM gone";
    let (mut hand, begun, mut gone) = (stage.ledger_eye(), Instant::now(), 0_i64);
    while begun.elapsed() < Duration::from_secs(stage.options.dose.pick(5, 20)) {
        gone += hand.ask(sql).await.map_or(0, |rows| rows[0].get(0));
        hand.run("-- faults::truncated all\nTRUNCATE jobs").await;
        tokio::time::sleep(OFTEN).await;
    }
    Hits::of(gone, "jobs deleted")
}

/// F27. Two revokes and the expiry of a session, within milliseconds of each other.
pub(super) async fn same_instant(stage: &mut Stage, random: &mut StdRng) -> Hits {
    let number = stage.bench.now().as_millis();
    let wish = |index: u32| Wish { key: format!("same-instant-{number}-{index}"), role: "app_read", ttl: TTL };
    let early: Vec<u64> = (0..stage.options.dose.pick(12, 60)).map(|_| random.random_range(0..30)).collect();
    let races = early.into_iter().zip(0_u32..).map(|(early, index)| race(stage, wish(index), early));
    let all = join_all(races).await;
    let count = |wanted: Race| all.iter().filter(|race| **race >= wanted).count();
    let hits = Hits::of(count(Race::Met), "sessions revoked within milliseconds of their end");
    Hits {
        proof: format!("{}, of {} made and {} asked for", hits.proof, count(Race::Made), count(Race::Asked)),
        ..hits
    }
}

/// How far a session got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Race {
    Refused,
    Asked,
    Made,
    Met,
}

/// Sends two revokes at about the end of a session.
async fn race(stage: &Stage, wish: Wish, early_ms: u64) -> Race {
    let caller = stage.caller();
    let Some(session) = caller.ask_until(&wish, PATIENCE).await else { return Race::Refused };
    let Some(_) = caller.credential(session, PATIENCE).await else { return Race::Asked };
    let Some(left) = time_left(stage, session).await else { return Race::Made };
    tokio::time::sleep(left.saturating_sub(Duration::from_millis(early_ms))).await;
    let revoke = |caller: Caller| async move { caller.revoke(session, PATIENCE).await };
    tokio::join!(revoke(caller.clone()), revoke(caller));
    Race::Met
}

/// By the target's clock.
async fn time_left(stage: &Stage, session: SessionId) -> Option<Duration> {
    let sql = format!(
        "-- faults::time_left\nSELECT extract(epoch FROM valid_until - clock_timestamp())::float8
           FROM gk.fence WHERE session = '{session}' AND valid_until > clock_timestamp()"
    );
    let rows = stage.target_hand().ask(&sql).await?;
    Some(Duration::from_secs_f64(rows.first()?.get(0)))
}
