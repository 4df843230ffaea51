//! What a run came to, as a page for people; the JSON beside it is the outcome itself.

use crate::faults;
use crate::judge::Invariant;
use crate::need::Need;
use crate::run::{Outcome, Round};
use std::fmt::Write as _;

/// The page.
#[must_use]
pub fn markdown(outcome: &Outcome, machine: &str) -> String {
    let mut page = head(outcome, machine);
    page.push_str(&how_many(outcome));
    page.push_str(&fault_table(outcome));
    page.push_str(&wanted());
    page.push_str(&invariant_table(outcome));
    if !outcome.failures().is_empty() {
        page.push_str("\n## What failed\n\n");
        for failure in outcome.failures() {
            let _ = writeln!(page, "* {}", failure.replace('\n', " "));
        }
    }
    page
}

fn head(outcome: &Outcome, machine: &str) -> String {
    let verdict = if outcome.failures().is_empty() { "no violation" } else { "**failed**" };
    let seen = outcome.seen;
    format!(
        "# A run under torture\n\n\
         Written by `cargo xtask torture`; what the faults and invariants are is told there. {machine}\n\n\
         {verdict} in {} s, {} rounds, seed {}. {} sessions were given, {} logins let in and {} refused, {} connections cut, \
         {} revokes accepted; ledger and target were looked at {} times.\n",
        outcome.seconds,
        outcome.rounds.len(),
        outcome.seed,
        seen.sessions,
        seen.let_in,
        seen.refused,
        seen.cut,
        seen.revoked,
        seen.looks,
    )
}

/// How many faults there are, and what became of them.
fn how_many(outcome: &Outcome) -> String {
    let hit = |number: &str| outcome.rounds.iter().any(|round| round.fault == number && round.hits > 0);
    let was_hit = faults::all().iter().filter(|fault| hit(fault.number)).count();
    let impossible: Vec<&str> = outcome.not_possible.keys().map(String::as_str).collect();
    let not_here = if impossible.is_empty() { "none".to_owned() } else { impossible.join(", ") };
    format!(
        "\nOf {} faults {was_hit} hit at least once; not possible on that machine: {not_here}.\n",
        faults::all().len()
    )
}

/// What a machine has to have for all of it.
fn wanted() -> String {
    let faults = |need: &Need| {
        let of = faults::all().iter().filter(|fault| fault.needs.contains(need));
        of.map(|fault| fault.number).collect::<Vec<_>>().join(", ")
    };
    let needs = Need::ALL.iter().filter(|need| !faults(need).is_empty());
    let lines: String = needs.map(|need| format!("* {}: {}\n", faults(need), need.why())).collect();
    format!("\nA fault that a machine cannot do is told as such, never as passed. The others need nothing:\n\n{lines}")
}

fn fault_table(outcome: &Outcome) -> String {
    let mut table = "\n## Faults\n\n| # | Fault | Rounds | Hits | Violations | Recovery p50 | max |\n|---|---|---|---|---|---|---|\n".to_owned();
    for fault in faults::all() {
        let rounds: Vec<&Round> = outcome.rounds.iter().filter(|round| round.fault == fault.number).collect();
        if rounds.is_empty() {
            let why = outcome.not_possible.get(fault.number).map_or("not in this run", String::as_str);
            let _ = writeln!(table, "| {} | {} | 0 | {why} | | | |", fault.number, fault.name);
            continue;
        }
        let hits: u64 = rounds.iter().map(|round| round.hits).sum();
        let wrong = outcome.violations.iter().filter(|violation| violation.during == fault.number).count();
        let mut took: Vec<u64> = rounds.iter().filter_map(|round| round.recovery_ms).collect();
        took.sort_unstable();
        let at =
            |index: usize| took.get(index).map_or_else(|| "never".to_owned(), |ms| format!("{:.1} s", seconds(*ms)));
        let (middle, last) = (at(took.len() / 2), at(took.len().saturating_sub(1)));
        let _ = writeln!(
            table,
            "| {} | {} | {} | {hits} | {wrong} | {middle} | {last} |",
            fault.number,
            fault.name,
            rounds.len()
        );
    }
    table
}

#[expect(clippy::cast_precision_loss, reason = "a time of a few minutes, shown with one digit")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn invariant_table(outcome: &Outcome) -> String {
    let mut table = "\n## Invariants\n\n| # | What holds | Checks | Violations |\n|---|---|---|---|\n".to_owned();
    for invariant in Invariant::ALL {
        let checks = outcome.checks.get(&invariant).copied().unwrap_or(0);
        let wrong = outcome.violations.iter().filter(|violation| violation.invariant == invariant).count();
        let _ = writeln!(table, "| {invariant} | {} | {checks} | {wrong} |", invariant.says());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Violation;
    use crate::tally::Counted;

    fn outcome() -> Outcome {
        let round = |ms| Round {
            fault: "F2".to_owned(),
            hits: 12,
            proof: "12 kills".to_owned(),
            seconds: 9,
            recovery_ms: Some(ms),
            failure: None,
        };
        let seen = Counted { sessions: 9, let_in: 5, refused: 4, cut: 3, revoked: 2, looks: 100 };
        let not_possible = [("F38".to_owned(), "it needs a version".to_owned())].into();
        Outcome {
            seed: 7,
            seconds: 30,
            rounds: vec![round(1500), round(900)],
            not_possible,
            seen,
            ..Outcome::default()
        }
    }

    #[test]
    fn a_page_tells_hits_and_recovery_of_each_fault() {
        let page = markdown(&outcome(), "2 cores.");
        assert!(page.contains("no violation in 30 s, 2 rounds, seed 7"), "{page}");
        assert!(page.contains("| 2 | 24 | 0 | 1.5 s | 1.5 s |"), "{page}");
        assert!(page.contains("Of 40 faults 1 hit at least once; not possible on that machine: F38."), "{page}");
        assert!(page.contains("| F38 |") && page.contains("| 0 | it needs a version | | | |"), "{page}");
        assert!(page.contains("| I12 |") && !page.contains("What failed"), "{page}");
    }

    #[test]
    fn a_run_fails_by_a_violation_by_a_fault_that_was_not_there_and_by_seeing_nothing() {
        let mut wrong = outcome();
        wrong.violations.push(Violation { invariant: Invariant::I3, what: "two".to_owned(), during: "F2".to_owned() });
        wrong.rounds[0].hits = 0;
        assert!(!wrong.failures().join("\n").contains("never hit"), "it hit another time");
        wrong.rounds[1].hits = 0;
        wrong.seen.cut = 0;
        let failures = wrong.failures().join("\n");
        assert!(failures.contains("I3 during F2: two") && failures.contains("F2 was never hit"), "{failures}");
        assert!(failures.contains("no connection was ever cut"), "{failures}");
        assert!(markdown(&wrong, "").contains("## What failed"));
    }
}
