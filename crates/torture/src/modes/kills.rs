//! Kills of everything at random, in bursts; after each burst all comes to rest, nothing is lost, and the log verifies.

use crate::faults::kills::kill_at_random;
use crate::run::{Act, Outcome, Plan, Round, Say, caught, end, millis};
use crate::stage::{Kind, Stage};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::time::Instant;

/// Kills between two rests.
const BURST: u32 = 100;

/// So many kills.
pub async fn run(plan: &Plan, kills: u32, say: Say<'_>) -> Outcome {
    let begun = Instant::now();
    let mut outcome = Outcome { seed: plan.seed, ..Outcome::default() };
    let mut random = StdRng::seed_from_u64(plan.seed);
    let options = Act { plan, kind: Kind::Plain, until: begun }.options(&mut random);
    if let Some(mut stage) = caught(Stage::set(options), "setting the stage", &mut outcome).await {
        let mut left = kills;
        while left > 0 && outcome.broken.is_empty() {
            let now = left.min(BURST);
            left -= now;
            let work = burst(&mut stage, &mut random, now);
            if let Some(round) = caught(work, "a burst of kills", &mut outcome).await {
                say(&format!("{} kills left; {}; at rest {:?} ms later", left, round.proof, round.recovery_ms));
                outcome.rounds.push(round);
            }
        }
        outcome.take(&stage);
    }
    outcome.seconds = begun.elapsed().as_secs();
    outcome
}

async fn burst(stage: &mut Stage, random: &mut StdRng, kills: u32) -> Round {
    let begun = Instant::now();
    stage.begin_work();
    let killed = kill_at_random(stage, random, kills).await;
    let rest = end(stage).await;
    Round {
        fault: "F2".to_owned(),
        hits: u64::from(killed.values().sum::<u32>()),
        proof: format!("killed {killed:?}"),
        seconds: begun.elapsed().as_secs(),
        recovery_ms: rest.as_ref().ok().map(|took| millis(*took)),
        failure: rest.err(),
    }
}
