//! A short run of the cheap faults, so that every change is tortured a little. `GK_TORTURE_SEED` runs a seed again.

use gk_e2e::Version;
use gk_torture::run::{Plan, run};
use gk_torture::stage::Dose;
use gk_torture::{modes, need};
use rand::RngExt as _;
use std::time::Duration;

#[expect(clippy::print_stdout, reason = "whoever runs a seed again has to know it")]
fn plan() -> Plan {
    let plan = Plan {
        seed: seed(),
        time: Duration::ZERO,
        only: ["F2", "F6", "F13", "F16", "F26", "F37"].map(str::to_owned).to_vec(),
        cheap: true,
        dose: Dose::Short,
        clients: 4,
        version: Version::From16,
        // Three times what is promised: the machine has other work.
        patience: 3,
        earlier: need::earlier(),
    };
    println!("GK_TORTURE_SEED={}", plan.seed);
    plan
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lost_answers_and_late_workers_break_no_promise() {
    let plan = plan();
    let outcome = run(&plan, &mut |line| println!("{line}")).await;
    assert_eq!(outcome.failures(), Vec::<String>::new());
    assert_eq!(outcome.rounds.len(), plan.only.len(), "{:?}", outcome.not_possible);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_on_time_whatever_part_is_dead() {
    let outcome = Box::pin(modes::expiry::run(&plan(), 24, &mut |line| println!("{line}"))).await;
    assert_eq!(outcome.failures(), Vec::<String>::new());
    assert_eq!(outcome.rounds.len(), 4);
}

fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the one switch of this test: a run that failed is run again")]
    let given = std::env::var("GK_TORTURE_SEED").ok();
    given.map_or_else(|| rand::rng().random(), |text| text.parse().expect("GK_TORTURE_SEED is a whole number"))
}
