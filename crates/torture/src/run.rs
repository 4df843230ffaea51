//! A run: stage by stage, round by round: a fault under load, its proof, healing, convergence, judgement.

use crate::faults::{self, Fault, Hits};
use crate::judge::{Bounds, Invariant, Violation};
use crate::schedule::{Schedule, Turn};
use crate::settle;
use crate::stage::{Dose, Kind, Stage, StageOptions};
use crate::tally::Counted;
use futures_util::FutureExt as _;
use gk_e2e::Version;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where chance begins.
    pub seed: u64,
    /// How long to go on; each fault is injected once even if that takes longer.
    pub time: Duration,
    /// These faults alone, by number; all if empty.
    pub only: Vec<String>,
    /// The cheap ones alone.
    pub cheap: bool,
    /// How much of each, once every fault was injected.
    pub dose: Dose,
    /// Clients at work.
    pub clients: u32,
    /// Postgres.
    pub version: Version,
    /// How much wider than promised the judge's bounds are, for a machine with other work.
    pub patience: u32,
    /// Where the programs of an earlier version lie.
    pub earlier: PathBuf,
}

/// One injection.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Round {
    /// The fault's number.
    pub fault: String,
    /// How often it hit.
    pub hits: u64,
    /// What that counts.
    pub proof: String,
    /// Seconds that all of it took, with recovery and every look.
    pub seconds: u64,
    /// Milliseconds from its end until all was as it should be.
    pub recovery_ms: Option<u64>,
    /// Why there is none.
    pub failure: Option<String>,
}

/// What a run came to.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Outcome {
    /// Where chance began.
    pub seed: u64,
    /// Seconds that it took.
    pub seconds: u64,
    /// Every injection.
    pub rounds: Vec<Round>,
    /// Faults that this machine cannot do, and why.
    pub not_possible: BTreeMap<String, String>,
    /// How often each invariant was held against something.
    pub checks: BTreeMap<Invariant, u64>,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// What was seen.
    pub seen: Counted,
    /// What broke in the harness itself.
    pub broken: Vec<String>,
}

impl Outcome {
    /// Why the run has failed; empty if it has not.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.violations.iter().map(|it| format!("{} during {}: {}", it.invariant, it.during, it.what)).collect();
        all.extend(self.broken.iter().cloned());
        let was_hit = |fault: &str| self.rounds.iter().any(|round| round.fault == fault && round.hits > 0);
        let missed = self.rounds.iter().filter(|round| !was_hit(&round.fault));
        all.extend(missed.map(|round| format!("{} was never hit: {}", round.fault, round.proof)));
        all.extend(self.seen.missing().into_iter().map(str::to_owned));
        all
    }

    pub(crate) fn take(&mut self, stage: &Stage) {
        for (invariant, checks) in stage.bench.court.checks() {
            *self.checks.entry(invariant).or_default() += checks;
        }
        self.violations.extend(stage.bench.court.violations());
        self.seen = self.seen.plus(stage.bench.tally.now());
    }
}

/// Says what goes on, to whoever looks.
pub type Say<'a> = &'a mut dyn FnMut(&str);

/// Runs it.
pub async fn run(plan: &Plan, say: Say<'_>) -> Outcome {
    let begun = Instant::now();
    let mut outcome = Outcome { seed: plan.seed, ..Outcome::default() };
    let mut random = StdRng::seed_from_u64(plan.seed);
    let chosen = chosen(plan, &mut outcome);
    tell_the_plan(&chosen, &outcome, say);
    let total = u32::try_from(chosen.values().map(Vec::len).sum::<usize>()).unwrap_or(1).max(1);
    for (kind, faults) in chosen {
        let share = plan.time * u32::try_from(faults.len()).unwrap_or(1) / total;
        let act = Act { plan, kind, until: Instant::now() + share };
        act.play(&faults, &mut random, &mut outcome, say).await;
    }
    outcome.seconds = begun.elapsed().as_secs();
    outcome
}

/// What will be done, how long once of each takes, and what cannot be done here.
fn tell_the_plan(chosen: &BTreeMap<Kind, Vec<Fault>>, outcome: &Outcome, say: Say<'_>) {
    let faults = || chosen.values().flatten();
    let seconds: u32 = faults().map(|fault| u32::from(fault.seconds)).sum();
    say(&format!("{} faults, about {} min for each of them once", faults().count(), seconds.div_ceil(60)));
    for (number, why) in &outcome.not_possible {
        say(&format!("{number:4} not possible here: {why}"));
    }
}

/// The faults of the plan by their stage; what is not possible here is noted.
fn chosen(plan: &Plan, outcome: &mut Outcome) -> BTreeMap<Kind, Vec<Fault>> {
    let mut by_kind: BTreeMap<Kind, Vec<Fault>> = BTreeMap::new();
    let wanted = |fault: &&Fault| {
        (plan.only.is_empty() || plan.only.iter().any(|number| number == fault.number)) && (!plan.cheap || fault.cheap)
    };
    for fault in faults::all().iter().filter(wanted) {
        match fault.needs.iter().find_map(|need| need.missing(&plan.earlier)) {
            Some(why) => drop(outcome.not_possible.insert(fault.number.to_owned(), why)),
            None => by_kind.entry(fault.kind).or_default().push(*fault),
        }
    }
    by_kind
}

/// All rounds on one stage.
pub(crate) struct Act<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) kind: Kind,
    pub(crate) until: Instant,
}

impl Act<'_> {
    /// The stage that it plays on.
    pub(crate) fn options(&self, random: &mut StdRng) -> StageOptions {
        StageOptions {
            kind: self.kind,
            version: self.plan.version,
            clients: self.plan.clients,
            seed: random.random(),
            bounds: Bounds::promised().times(self.plan.patience),
            dose: self.plan.dose,
            earlier: self.plan.earlier.clone(),
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    async fn play(&self, faults: &[Fault], random: &mut StdRng, outcome: &mut Outcome, say: Say<'_>) {
        let options = self.options(random);
        let Some(mut stage) = caught(Stage::set(options), "setting the stage", outcome).await else { return };
        let mut schedule = Schedule::of(faults, random);
        while let Some(turn) = schedule.next(self.left(), self.plan.dose, random) {
            stage.begin_work();
            let round = round(&mut stage, &turn, random, outcome).await;
            say(&line(&round, &stage));
            schedule.had(&turn, round.hits);
            outcome.rounds.push(round);
        }
        let rest = caught(end(&mut stage), "coming to rest", outcome).await;
        say(&format!("stage {:?}: at rest {rest:?}", self.kind));
        outcome.take(&stage);
    }
}

async fn round(stage: &mut Stage, turn: &Turn, random: &mut StdRng, outcome: &mut Outcome) -> Round {
    let (begun, fault) = (Instant::now(), &turn.fault);
    stage.options.dose = turn.dose;
    stage.bench.court.during(fault.number);
    let injected = caught((fault.run)(stage, random), fault.number, outcome).await;
    let hits = injected.unwrap_or_else(|| Hits { count: 0, proof: "the injection broke".to_owned() });
    let recovery = caught(settle::recover(stage, fault.number), fault.number, outcome).await;
    let _ = caught(settle::examine(stage, false), fault.number, outcome).await;
    let took = recovery.map(|recovery| recovery.took);
    Round {
        fault: fault.number.to_owned(),
        hits: hits.count,
        proof: hits.proof,
        seconds: begun.elapsed().as_secs(),
        recovery_ms: took.as_ref().and_then(|took| took.as_ref().ok()).map(|took| millis(*took)),
        failure: took.and_then(Result::err),
    }
}

/// The end of a stage: nobody works any more, everything is over, nobody gets in.
pub(crate) async fn end(stage: &mut Stage) -> Result<Duration, String> {
    stage.bench.court.during("the end");
    let rest = settle::come_to_rest(stage).await;
    if let Err(left) = &rest {
        let recovery = crate::evidence::Recovery { fault: "the end".to_owned(), took: Err(left.clone()) };
        stage.bench.court.hear(&crate::evidence::Evidence::Recovery(recovery));
    }
    settle::examine(stage, true).await;
    settle::nobody_gets_in(stage).await;
    rest
}

/// A harness that breaks is a failed run, and the rest of the run goes on.
pub(crate) async fn caught<T>(work: impl Future<Output = T>, what: &str, outcome: &mut Outcome) -> Option<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        outcome.broken.push(format!("{what}: {}", text.unwrap_or_default()));
    })
    .ok()
}

fn line(round: &Round, stage: &Stage) -> String {
    let recovery = round.recovery_ms.map_or_else(|| format!("{:?}", round.failure), |ms| format!("{ms} ms"));
    let wrong = stage.bench.court.violations().len();
    let Round { fault, proof, seconds, .. } = round;
    format!("{fault:4} {proof}; recovered: {recovery}; {seconds} s; {wrong} violations so far")
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
