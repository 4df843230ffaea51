//! F6–F11, F13–F15: what a network does, on the wires between the parts.

use super::Hits;
use crate::part::Part;
use crate::stage::{Stage, Wires};
use crate::wire::{Counted, Weather, Wire};
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

type Pick = fn(&Wires) -> &Wire;
const AGENT_TARGET: Pick = |wires| &wires.agent_target;
const AGENT_PLANE: Pick = |wires| &wires.agent_plane;
const CLIENT_PLANE: Pick = |wires| &wires.client_plane;
const PLANE_LEDGER: Pick = |wires| &wires.plane_ledger;
const EVERY: [(Pick, Part); 4] = [
    (AGENT_TARGET, Part::AgentToTarget),
    (AGENT_PLANE, Part::AgentToPlane),
    (CLIENT_PLANE, Part::ClientToPlane),
    (PLANE_LEDGER, Part::PlaneToLedger),
];

/// Weather on one wire for a while; gives by how much this count of the wire has grown.
async fn spell(stage: &Stage, (wire, part): (Pick, Part), weather: Weather, seconds: u64) -> u64 {
    let count = counter(&weather);
    let wire = wire(&stage.wires);
    let before = count(wire.counted()).load(Ordering::Relaxed);
    {
        let _out = stage.out(&[part]);
        let _spell = wire.weather(weather);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    count(wire.counted()).load(Ordering::Relaxed) - before
}

/// What proves this weather.
fn counter(weather: &Weather) -> fn(&Counted) -> &AtomicU64 {
    match weather {
        Weather::Clear | Weather::Held { .. } => |counted| &counted.held,
        Weather::Slow(_) | Weather::Trickle(_) | Weather::Narrow(_) => |counted| &counted.slowed,
        Weather::Refused => |counted| &counted.refused,
        Weather::LosesAnswersTo(_) | Weather::Answers(_) => |counted| &counted.lost,
    }
}

async fn loses(stage: &Stage, wire: (Pick, Part), words: &'static [&'static str], what: &str) -> Hits {
    let seconds = stage.options.dose.pick(4, 15);
    Hits::of(spell(stage, wire, Weather::LosesAnswersTo(words), seconds).await, what)
}

/// F6. The mint or the disarm is committed, and the agent never hears of it.
pub(super) async fn lost_ack_of_target(stage: &mut Stage, _: &mut StdRng) -> Hits {
    // Calls of helpers are prepared once a connection: what goes by is what they are called with.
    let words = &["SCRAM-SHA-256$", "sess_"];
    loses(stage, (AGENT_TARGET, Part::AgentToTarget), words, "answers of the target lost").await
}

/// F7. The ledger has committed, and the control plane never hears of it.
pub(super) async fn lost_ack_of_ledger(stage: &mut Stage, _: &mut StdRng) -> Hits {
    loses(stage, (PLANE_LEDGER, Part::PlaneToLedger), &["COMMIT"], "answers of the ledger lost").await
}

/// F8. The request was carried out, and neither client nor agent hears of it.
pub(super) async fn lost_answer(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let clients =
        loses(stage, (CLIENT_PLANE, Part::ClientToPlane), &["POST /v1/sessions"], "answers to clients lost").await;
    let agents = loses(stage, (AGENT_PLANE, Part::AgentToPlane), &["/complete"], "answers to agents lost").await;
    clients.and(&agents)
}

async fn partition(stage: &Stage, wire: (Pick, Part), up: bool, down: bool, seconds: u64) -> Hits {
    Hits::of(spell(stage, wire, Weather::Held { up, down }, seconds).await, "pieces held")
}

/// F9. Longer than the workload's sessions last: the agent alone ends them.
pub(super) async fn agent_from_plane(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let seconds = stage.options.dose.pick(8, 60);
    partition(stage, (AGENT_PLANE, Part::AgentToPlane), true, true, seconds).await
}

/// F10.
pub(super) async fn agent_from_target(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let seconds = stage.options.dose.pick(6, 30);
    partition(stage, (AGENT_TARGET, Part::AgentToTarget), true, true, seconds).await
}

/// F11. First what is sent does not arrive, then what is answered.
pub(super) async fn one_way(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let seconds = stage.options.dose.pick(3, 12);
    let mut hits = Hits { count: u64::MAX, proof: "one way".to_owned() };
    for wire in [(AGENT_PLANE, Part::AgentToPlane), (AGENT_TARGET, Part::AgentToTarget)] {
        for (up, down) in [(true, false), (false, true)] {
            hits = hits.and(&partition(stage, wire, up, down, seconds).await);
        }
    }
    hits
}

/// F13.
pub(super) async fn resets(stage: &mut Stage, random: &mut StdRng) -> Hits {
    let times = stage.options.dose.pick(15, 60);
    let sum = |stage: &Stage| EVERY.iter().map(|(wire, _)| reset_count(wire(&stage.wires))).sum::<u64>();
    let before = sum(stage);
    let _out = stage.out(&EVERY.map(|(_, part)| part));
    for _ in 0..times {
        tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
        EVERY[random.random_range(0..EVERY.len())].0(&stage.wires).reset();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    Hits::of(sum(stage) - before, "connections reset")
}

fn reset_count(wire: &Wire) -> u64 {
    wire.counted().reset.load(Ordering::Relaxed)
}

fn half_close_count(wire: &Wire) -> u64 {
    wire.counted().half_closed.load(Ordering::Relaxed)
}

/// F14 on the wires: each connection's other half is closed and nobody says more.
pub(super) async fn half_open(stage: &mut Stage, random: &mut StdRng) -> Hits {
    let count = |stage: &Stage| EVERY.iter().map(|(wire, _)| half_close_count(wire(&stage.wires))).sum::<u64>();
    let before = count(stage);
    let _out = stage.out(&EVERY.map(|(_, part)| part));
    for _ in 0..stage.options.dose.pick(3, 10) {
        for (wire, _) in EVERY {
            wire(&stage.wires).half_close();
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(200..900))).await;
    }
    Hits::of(count(stage) - before, "connections half closed")
}

/// F15.
pub(super) async fn trickle(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let seconds = stage.options.dose.pick(4, 20);
    let mut hits = Hits { count: u64::MAX, proof: "one byte a second".to_owned() };
    for wire in EVERY {
        let slowed = spell(stage, wire, Weather::Trickle(Duration::from_secs(1)), seconds).await;
        hits = hits.and(&Hits::of(slowed, "pieces trickled"));
    }
    hits
}
