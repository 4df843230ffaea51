//! The session's life on paper: the real decisions ([`decide`], [`seen`], [`dropped`], [`missing`], the status) over a row
//! that is kept here as the SQL keeps it. Thousands of lives a second, and a broken decision shows within them.

#[path = "../../tests/session_model/mod.rs"]
mod session_model;

mod paper;

use gk_shared::ids::SessionId;
use gk_shared::session::Desired;
use gk_shared::wire::job::JobOutcome;
use jiff::Timestamp;

use super::jobs::verdict::{Held, Verdict, decide};
use super::observe::reconcile::{Known, Step, dropped, missing, seen};
use paper::{Paper, Rules};
use session_model::{Lives, Op, Target, explore, live};

const RULES: Rules = Rules { decide, seen, dropped, missing };

fn place(rules: Rules) -> (Paper, Target) {
    let session = SessionId::from_parts(1, [1; 10]);
    (Paper::new(session, rules), Target::new(session, Timestamp::UNIX_EPOCH))
}

fn lives(count: u32, repeatable: bool, rules: Rules) -> Result<(), (String, Vec<Op>)> {
    explore(Lives { count, repeatable, shrinks: 2000 }, || place(rules))
}

#[test]
fn no_order_of_events_breaks_a_session() {
    if let Err((story, ops)) = lives(600, false, RULES) {
        panic!("{ops:?}: {story}");
    }
}

/// The rules with one of them broken are found out, and the story that shows it is short.
fn finds(broken: Rules, says: &str) {
    let (story, ops) = lives(3000, true, broken).expect_err("the broken rule went unnoticed");
    assert!(live(place(broken), &ops).is_err(), "the shortest life breaks the rule each time");
    assert_eq!(live(place(RULES), &ops), Ok(()), "and only the broken one");
    assert!(story.contains(says), "{story}");
    assert!(ops.len() <= 12, "not shrunk: {ops:?}");
}

#[test]
fn a_late_mint_that_is_believed_is_found_out() {
    fn believing(held: &Held, outcome: &JobOutcome) -> Verdict {
        let held = Held { desired: Desired::Present, generation: held.lease_generation, ..held.clone() };
        decide(&held, outcome)
    }
    finds(Rules { decide: believing, ..RULES }, "created after its end");
}

#[test]
fn an_end_that_is_said_of_a_role_that_is_still_there_is_found_out() {
    fn hasty(held: &Held, outcome: &JobOutcome) -> Verdict {
        match decide(held, outcome) {
            Verdict::Cut { retry_in, .. } => Verdict::Cut { dropped: true, blocked: None, retry_in },
            other => other,
        }
    }
    finds(Rules { decide: hasty, ..RULES }, "over, and the role is there");
}

#[test]
fn an_end_that_is_given_up_is_found_out() {
    fn giving_up(held: &Held, outcome: &JobOutcome) -> Verdict {
        match decide(held, outcome) {
            Verdict::Again { .. } if held.desired == Desired::Absent => Verdict::Done,
            other => other,
        }
    }
    finds(Rules { decide: giving_up, ..RULES }, "unwanted, and in the end");
}

#[test]
fn a_role_that_comes_back_unnoticed_is_found_out() {
    fn blind(known: &Known, role: &gk_shared::wire::agent::ObservedRole) -> Step {
        match seen(known, role) {
            Step::Resurrected => Step::Nothing,
            other => other,
        }
    }
    finds(Rules { seen: blind, ..RULES }, "unwanted, and in the end");
}

#[test]
fn a_lost_role_that_is_still_called_ready_is_found_out() {
    finds(Rules { missing: |_| Step::Nothing, ..RULES }, "wanted, and in the end");
}

#[test]
fn an_old_look_that_is_taken_for_a_new_one_is_found_out() {
    fn hasty(known: &Known) -> Step {
        missing(&Known { settled: true, ..*known })
    }
    finds(Rules { missing: hasty, ..RULES }, "called lost, and nobody touched it");
}
