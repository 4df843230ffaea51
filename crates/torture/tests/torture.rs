//! A short run of the cheap faults, so that every change is tortured a little. `GK_TORTURE_SEED` runs a seed again.

use gk_e2e::Version;
use gk_torture::run::{Plan, run};
use gk_torture::stage::Dose;
use rand::RngExt as _;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lost_answers_and_late_workers_break_no_promise() {
    let plan = Plan {
        seed: seed(),
        time: Duration::ZERO,
        only: ["F2", "F6", "F13", "F16"].map(str::to_owned).to_vec(),
        cheap: true,
        dose: Dose::Short,
        clients: 4,
        version: Version::From16,
        patience: 3,
    };
    println!("GK_TORTURE_SEED={}", plan.seed);
    let outcome = run(&plan, &mut |line| println!("{line}")).await;
    assert_eq!(outcome.failures(), Vec::<String>::new());
    assert!(outcome.rounds.len() >= 4, "{:?}", outcome.not_possible);
}

fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the one switch of this test: a run that failed is run again")]
    let given = std::env::var("GK_TORTURE_SEED").ok();
    given.map_or_else(|| rand::rng().random(), |text| text.parse().expect("GK_TORTURE_SEED is a whole number"))
}
