//! Each invariant has a mutant: a deliberate bug that must turn the judge red, with that very invariant. The same scenes
//! without their bugs are the control, and stay green.

mod mutant_scenes;

use gk_e2e::Version;
use gk_torture::judge::{Bounds, Invariant, Violation};
use gk_torture::stage::{Dose, Kind, Stage, StageOptions};
use mutant_scenes::{SCENES, Scene};
use std::time::Duration;

/// Narrower than what is promised, so that a mutant is found in seconds; what is right is far inside.
const NARROW: Bounds =
    Bounds { cut: Duration::from_millis(2500), converge: Duration::from_millis(4500), clock: Duration::from_secs(2) };

async fn stage() -> Stage {
    let options = StageOptions {
        kind: Kind::Plain,
        version: Version::From16,
        clients: 0,
        seed: 0,
        bounds: NARROW,
        dose: Dose::Short,
    };
    Stage::set(options).await
}

async fn with_its_bug(invariant: Invariant) -> Vec<Violation> {
    let scene: &Scene = SCENES.iter().find(|scene| scene.invariant == invariant).expect("every invariant has a scene");
    let mut stage = stage().await;
    (scene.play)(&mut stage, true).await;
    stage.bench.court.violations()
}

macro_rules! mutants {
    ($($name:ident: $invariant:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let found = with_its_bug(Invariant::$invariant).await;
            assert!(found.iter().any(|one| one.invariant == Invariant::$invariant), "the mutant lives; found {found:?}");
        })*
    };
}

mutants! {
    roles_without_an_end_are_found: I1,
    connections_that_nobody_cuts_are_found: I2,
    keys_that_are_forgotten_are_found: I3,
    logins_that_are_left_on_are_found: I4,
    sessions_that_the_ledger_loses_are_found: I5,
    a_target_without_its_fence_is_found: I6,
    an_event_that_was_taken_out_is_found: I7,
    a_password_in_a_log_is_found: I8,
    an_error_without_a_code_is_found: I9,
    a_table_that_is_dropped_with_its_maker_is_found: I10,
    a_revoke_that_is_only_acknowledged_is_found: I11,
    an_agent_that_stays_locked_out_is_found: I12,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_their_bugs_all_scenes_are_green() {
    let mut stage = stage().await;
    for scene in SCENES {
        (scene.play)(&mut stage, false).await;
        assert_eq!(stage.bench.court.violations(), [], "in the scene of {}", scene.invariant);
    }
    let checks = stage.bench.court.checks();
    assert!(checks.values().all(|count| *count > 0), "an invariant was never held against anything: {checks:?}");
    assert_eq!(SCENES.len(), Invariant::ALL.len());
}
