//! Ends on time with any one part dead: no login let in after the end, no connection alive a second after it.

use crate::judge::{Invariant, Violation};
use crate::part::Part;
use crate::run::{Act, Outcome, Plan, Round, Say, caught, end};
use crate::sight::Eye;
use crate::stage::{Kind, Stage};
use crate::workload::Wish;
use futures_util::future::join_all;
use gk_e2e::User;
use gk_shared::ids::SessionId;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Sessions that are there at once: each holds a connection.
const BATCH: u32 = 50;
/// Asked for at once.
const AT_ONCE: usize = 8;
/// Long enough for a batch to be made and logged in.
const TTL: u32 = 30;
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// What is dead when the sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dead {
    Nothing,
    Plane,
    Ledger,
    Agent,
}

const ALL: [Dead; 4] = [Dead::Nothing, Dead::Plane, Dead::Ledger, Dead::Agent];

impl Dead {
    fn kill(self, stage: &mut Stage) {
        match self {
            Self::Nothing => {}
            Self::Plane => stage.stack.plane.process.kill9(),
            Self::Ledger => stage.stack.plane.ledger.kill9(),
            Self::Agent => stage.stack.agent().kill9(),
        }
    }

    async fn start(self, stage: &mut Stage) {
        match self {
            Self::Nothing => {}
            Self::Plane => stage.stack.plane.process.start(),
            Self::Ledger => stage.stack.plane.ledger.start_again().await,
            Self::Agent => stage.stack.agent().start(),
        }
        stage.supervise();
    }

    const fn parts(self) -> &'static [Part] {
        match self {
            Self::Nothing => &[],
            Self::Plane => &[Part::Plane],
            Self::Ledger => &[Part::Ledger],
            Self::Agent => &[Part::Agent],
        }
    }
}

/// So many sessions, as evenly as it goes over the parts that may be dead.
pub async fn run(plan: &Plan, sessions: u32, say: Say<'_>) -> Outcome {
    let begun = Instant::now();
    let mut outcome = Outcome { seed: plan.seed, ..Outcome::default() };
    let mut random = StdRng::seed_from_u64(plan.seed);
    let options = Act { plan, kind: Kind::Plain, until: begun }.options(&mut random);
    if let Some(mut stage) = caught(Stage::set(options), "setting the stage", &mut outcome).await {
        let batches = sessions.div_ceil(BATCH).max(u32::try_from(ALL.len()).unwrap_or(1));
        let size = sessions.div_ceil(batches);
        for (number, dead) in (0..batches).zip(ALL.into_iter().cycle()) {
            let work = batch(&mut stage, dead, (number, size), f64::from(plan.patience));
            let Some(round) = caught(work, "a batch of sessions", &mut outcome).await else { break };
            say(&round.proof);
            outcome.rounds.push(round);
        }
        let _ = caught(end(&mut stage), "coming to rest", &mut outcome).await;
        outcome.take(&stage);
    }
    outcome.violations.extend(late(&outcome.rounds));
    outcome.seconds = begun.elapsed().as_secs();
    outcome
}

/// A connection may be seen for `allowed` seconds after its end: one, times the run's patience.
async fn batch(stage: &mut Stage, dead: Dead, (number, size): (u32, u32), allowed: f64) -> Round {
    let begun = Instant::now();
    stage.bench.court.during(&format!("expiry with {dead:?} dead"));
    let held = logged_in(stage, number, size).await;
    // Soon before the first of them ends.
    tokio::time::sleep(until_first_end(stage).await.saturating_sub(Duration::from_millis(1500))).await;
    let out = stage.out(dead.parts());
    dead.kill(stage);
    let late = watch_the_ends(stage, &held).await;
    let cut = held.iter().filter(|(_, user, _)| user.is_cut()).count();
    (0..cut).for_each(|_| stage.bench.tally.cut());
    dead.start(stage).await;
    drop(out);
    stage.stack.plane.answers().await;
    let worst = late.values().copied().fold(0.0, f64::max);
    Round {
        fault: format!("{dead:?} dead"),
        hits: u64::try_from(cut).unwrap_or(0),
        proof: format!(
            "{dead:?} dead: {} sessions, {cut} connections cut, the last {:.0} ms after its end",
            held.len(),
            worst * 1000.0
        ),
        seconds: begun.elapsed().as_secs(),
        recovery_ms: None,
        failure: (worst > allowed).then(|| format!("a connection lived {worst:.2} s after its end")),
    }
}

/// A connection that outlived its session is a violation here, by less than the judge allows elsewhere.
fn late(rounds: &[Round]) -> Vec<Violation> {
    let late = rounds.iter().filter_map(|round| Some((round.fault.clone(), round.failure.clone()?)));
    late.map(|(during, what)| Violation { invariant: Invariant::I2, what, during }).collect()
}

async fn logged_in(stage: &Stage, number: u32, size: u32) -> Vec<(SessionId, User, String)> {
    let mut held = Vec::new();
    let all: Vec<u32> = (0..size).collect();
    for some in all.chunks(AT_ONCE) {
        let one = |index: u32| async move {
            let caller = stage.caller();
            let wish = Wish { key: format!("expiry-{number}-{index:04}"), role: "app_read", ttl: TTL };
            let session = caller.ask_until(&wish, PATIENCE).await?;
            let dsn = caller.credential(session, PATIENCE).await?;
            let user = stage.bench.login(session, &dsn).await?;
            Some((session, user, dsn))
        };
        held.extend(join_all(some.iter().map(|index| one(*index))).await.into_iter().flatten());
    }
    held
}

async fn seconds(eye: &mut Eye, sql: &str) -> Option<f64> {
    eye.ask(sql).await?.first()?.get(0)
}

async fn until_first_end(stage: &Stage) -> Duration {
    let sql = "-- expiry::first_end
        SELECT greatest(0, extract(epoch FROM min(valid_until) - clock_timestamp()))::float8 FROM gk.fence WHERE state = 'minted'";
    Duration::from_secs_f64(seconds(&mut stage.target_hand(), sql).await.unwrap_or(0.0))
}

/// Until the last session has been over for a while: how late each connection was last seen, by the target's clock.
async fn watch_the_ends(stage: &Stage, held: &[(SessionId, User, String)]) -> BTreeMap<String, f64> {
    let sql = "-- expiry::late
        SELECT f.session, extract(epoch FROM clock_timestamp() - f.valid_until)::float8
          FROM gk.fence f JOIN pg_stat_activity a ON a.usesysid = f.role_oid WHERE f.valid_until < clock_timestamp()";
    let last = "-- expiry::last_end
        SELECT extract(epoch FROM max(valid_until) - clock_timestamp())::float8 FROM gk.fence";
    let (mut eye, mut late, mut next) = (stage.target_hand(), BTreeMap::new(), 0_usize);
    loop {
        for row in eye.ask(sql).await.unwrap_or_default() {
            late.insert(row.get::<_, String>(0), row.get::<_, f64>(1));
        }
        // Each credential again and again: the judge holds it against the end.
        if let Some((session, _, dsn)) = held.get(next % held.len().max(1)) {
            drop(stage.bench.login(*session, dsn).await);
        }
        next += 1;
        if seconds(&mut eye, last).await.is_some_and(|left| left < -2.5) {
            return late;
        }
        tokio::time::sleep(POLL).await;
    }
}
