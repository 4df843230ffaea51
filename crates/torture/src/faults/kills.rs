//! F2, F3, F5: kill -9 of programs and servers at moments that chance chooses.

use super::Hits;
use crate::part::Part;
use crate::stage::Stage;
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Agent,
    Plane,
    Ledger,
    Target,
}

impl Victim {
    fn pick(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..35 => Self::Agent,
            35..70 => Self::Plane,
            70..85 => Self::Ledger,
            _ => Self::Target,
        }
    }

    const fn part(self) -> Part {
        match self {
            Self::Agent => Part::Agent,
            Self::Plane => Part::Plane,
            Self::Ledger => Part::Ledger,
            Self::Target => Part::Target,
        }
    }

    fn kill(self, stage: &mut Stage) {
        match self {
            Self::Agent => stage.stack.agent().kill9(),
            Self::Plane => stage.stack.plane.process.kill9(),
            Self::Ledger => stage.stack.plane.ledger.kill9(),
            Self::Target => stage.stack.target.kill9(),
        }
    }

    /// Only the victim is started again: the others have to live through it.
    async fn start(self, stage: &mut Stage) {
        match self {
            Self::Agent => stage.stack.agent().start(),
            Self::Plane => stage.stack.plane.process.start(),
            Self::Ledger => stage.stack.plane.ledger.start_again().await,
            Self::Target => stage.stack.target.start_again().await,
        }
        stage.supervise();
    }
}

/// Kills this many times, whom chance chooses, and tells who it was.
pub(crate) async fn kill_at_random(stage: &mut Stage, random: &mut StdRng, kills: u32) -> BTreeMap<Victim, u32> {
    let all = [Part::Agent, Part::Plane, Part::Ledger, Part::Target];
    let _out = stage.out(&all);
    let mut killed = BTreeMap::new();
    for _ in 0..kills {
        tokio::time::sleep(calm(random)).await;
        let victim = Victim::pick(random);
        victim.kill(stage);
        *killed.entry(victim).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..120))).await;
        victim.start(stage).await;
    }
    killed
}

/// Until the next kill: mostly in the middle of starting up again, sometimes long enough to get something done.
fn calm(random: &mut StdRng) -> Duration {
    let range = if random.random_ratio(1, 4) { 500..2000 } else { 50..300 };
    Duration::from_millis(random.random_range(range))
}

/// F2.
pub(super) async fn everything(stage: &mut Stage, random: &mut StdRng) -> Hits {
    let kills = stage.options.dose.pick(12, 50);
    let killed = kill_at_random(stage, random, kills).await;
    Hits { count: u64::from(killed.values().sum::<u32>()), proof: format!("killed {killed:?}") }
}

async fn again_and_again(stage: &mut Stage, random: &mut StdRng, victim: Victim) -> Hits {
    let times = stage.options.dose.pick(2, 5);
    for _ in 0..times {
        tokio::time::sleep(Duration::from_millis(random.random_range(300..1500))).await;
        let _out = stage.out(&[victim.part()]);
        victim.kill(stage);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
        victim.start(stage).await;
    }
    Hits::of(times, "kills of the server with all its processes")
}

/// F3.
pub(super) async fn target(stage: &mut Stage, random: &mut StdRng) -> Hits {
    again_and_again(stage, random, Victim::Target).await
}

/// F5.
pub(super) async fn ledger(stage: &mut Stage, random: &mut StdRng) -> Hits {
    again_and_again(stage, random, Victim::Ledger).await
}
