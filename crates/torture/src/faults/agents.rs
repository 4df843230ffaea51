//! F25, F26: more agents than one at the same session, and a mint that arrives after its revoke.

use super::Hits;
use crate::part::Part;
use crate::stage::Stage;
use crate::wire::Weather;
use crate::workload::Wish;
use gk_e2e::AgentOptions;
use gk_shared::ids::SessionId;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);
/// What the target says to a mint that comes after the end.
const REFUSED: &str = "is never minted again";

/// F25. Four agents, and leases that are over as soon as they are taken: the target's fence alone keeps order.
pub(super) async fn without_leases(stage: &mut Stage, _: &mut StdRng) -> Hits {
    for _ in 0..3 {
        stage.add_another_agent().await;
    }
    let sql = "-- faults::without_leases
        WITH broken AS (UPDATE jobs SET run_at = now() WHERE state = 'leased' AND run_at > now() RETURNING 1)
        SELECT count(*) FROM broken";
    let (mut hand, begun, mut broken) = (stage.ledger_eye(), Instant::now(), 0_i64);
    while begun.elapsed() < Duration::from_secs(stage.options.dose.pick(5, 20)) {
        broken += hand.ask(sql).await.map_or(0, |rows| rows[0].get(0));
        tokio::time::sleep(POLL).await;
    }
    stage.keep_first_agent();
    Hits::of(broken, "leases broken under four agents")
}

/// F26.
pub(super) async fn late_mint(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let before = refusals(stage);
    let out = stage.out(&[Part::AgentToTarget]);
    let spell = stage.wires.agent_target.weather(Weather::Held { up: true, down: false });
    let caller = stage.caller();
    let wish = Wish { key: format!("late-mint-{}", stage.bench.now().as_millis()), role: "app_read", ttl: 120 };
    let session = caller.ask_until(&wish, PATIENCE).await;
    if let Some(session) = session {
        is_leased(stage, session).await;
    }
    stage.stack.agent().kill9();
    let plane_port = Some(stage.wires.agent_plane.port());
    let direct = AgentOptions { plane_port, ..AgentOptions::default() };
    let name = stage.another_name();
    stage.stack.add_agent(&name, direct).await;
    if let Some(session) = session {
        caller.revoke(session, PATIENCE).await;
        is_over(stage, session).await;
    }
    drop(spell);
    let begun = Instant::now();
    while refusals(stage) == before && begun.elapsed() < PATIENCE {
        tokio::time::sleep(POLL).await;
    }
    stage.stack.agent().start();
    stage.keep_first_agent();
    drop(out);
    Hits::of(refusals(stage) - before, "late mints refused by the target")
}

fn refusals(stage: &Stage) -> usize {
    stage.stack.target.log_text().matches(REFUSED).count()
}

/// Waits until an agent has the job, and a moment more, in which its mint gets onto the wire.
async fn is_leased(stage: &Stage, session: SessionId) {
    let id = session.uuid();
    let sql = format!("-- faults::leased\nSELECT 1 FROM jobs WHERE session_id = '{id}' AND state = 'leased'");
    holds(stage, &sql).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
}

async fn is_over(stage: &Stage, session: SessionId) {
    let id = session.uuid();
    let sql = format!("-- faults::over\nSELECT 1 FROM sessions WHERE id = '{id}' AND ended_at IS NOT NULL");
    holds(stage, &sql).await;
}

async fn holds(stage: &Stage, sql: &str) {
    let (mut eye, begun) = (stage.ledger_eye(), Instant::now());
    while eye.ask(sql).await.is_none_or(|rows| rows.is_empty()) && begun.elapsed() < PATIENCE {
        tokio::time::sleep(POLL).await;
    }
}
