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
        earlier: gk_torture::need::earlier(),
    };
    Stage::set(options).await
}

async fn with_its_bug(name: &str) -> (Invariant, Vec<Violation>) {
    let scene: &Scene = SCENES.iter().find(|scene| scene.name == name).expect("the mutant is one of the scenes");
    let mut stage = stage().await;
    (scene.play)(&mut stage, true).await;
    (scene.invariant, stage.bench.court.violations())
}

macro_rules! mutants {
    ($($name:ident: $scene:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (wanted, found) = with_its_bug(stringify!($scene)).await;
            assert!(found.iter().any(|one| one.invariant == wanted), "the mutant lives; {wanted} was not among {found:?}");
        })*

        const PLAYED: &[&str] = &[$(stringify!($scene)),*];
    };
}

mutants! {
    roles_without_an_end_are_found: all_dead,
    connections_that_nobody_cuts_are_found: nobody_cuts,
    keys_that_are_forgotten_are_found: key_sent_twice,
    logins_that_are_left_on_are_found: login_left_on,
    a_role_in_stock_that_can_log_in_is_found: stock_armed,
    sessions_that_the_ledger_loses_are_found: ledger_loses,
    an_end_that_nobody_looks_for_after_a_restart_is_found: nobody_looks,
    a_target_without_its_fence_is_found: stale_mint,
    an_event_that_was_taken_out_is_found: event_taken_out,
    a_session_that_is_given_without_its_log_is_found: given_unlogged,
    a_password_in_a_log_is_found: password_in_a_log,
    an_error_without_a_code_is_found: error_without_code,
    a_table_that_is_dropped_with_its_maker_is_found: table_dropped,
    a_revoke_that_is_only_acknowledged_is_found: revoke_acknowledged,
    an_agent_that_stays_locked_out_is_found: locked_out,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_their_bugs_all_scenes_are_green() {
    let mut stage = stage().await;
    for scene in SCENES {
        (scene.play)(&mut stage, false).await;
        assert_eq!(stage.bench.court.violations(), [], "in the scene {}", scene.name);
    }
    let checks = stage.bench.court.checks();
    assert!(checks.values().all(|count| *count > 0), "an invariant was never held against anything: {checks:?}");
}

#[test]
fn every_scene_is_played_with_its_bug_and_every_invariant_has_one() {
    assert!(SCENES.iter().all(|scene| PLAYED.contains(&scene.name)) && SCENES.len() == PLAYED.len());
    let of = |invariant| SCENES.iter().filter(move |scene| scene.invariant == invariant);
    assert!(Invariant::ALL.into_iter().all(|invariant| of(invariant).next().is_some()));
}
