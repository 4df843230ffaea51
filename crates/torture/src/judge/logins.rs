//! I1: nobody is let in after the end of the session, nor after it was said to be cut.

use super::{Found, Invariant, Rule};
use crate::evidence::{Evidence, Login, Restored, Sight};
use gk_shared::ids::SessionId;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Logins {
    /// By the target's clock.
    ends: BTreeMap<SessionId, Timestamp>,
    cuts: BTreeMap<SessionId, Timestamp>,
    /// By a clock that never goes back: ends, and since which look they are passed. A clock that was set back and jumps
    /// ahead again ends sessions at once by it, and nobody can act before a look.
    steady_ends: BTreeMap<SessionId, Timestamp>,
    passed: BTreeMap<SessionId, Duration>,
    at: Duration,
    /// Their roles may have come back with a backup; I4 says for how long, and their end still holds.
    back: BTreeSet<SessionId>,
}

impl Rule for Logins {
    fn invariant(&self) -> Invariant {
        Invariant::I1
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        match evidence {
            Evidence::Sight(sight) => self.learn(sight),
            Evidence::Login(login) => self.check(login, found),
            Evidence::Restored(Restored::Target) => self.back.extend(self.ends.keys().chain(self.cuts.keys())),
            Evidence::Answer(_)
            | Evidence::Program(_)
            | Evidence::Books(_)
            | Evidence::Audit(_)
            | Evidence::Search(_)
            | Evidence::Object(_)
            | Evidence::Recovery(_)
            | Evidence::Restored(Restored::Ledger) => {}
        }
    }
}

impl Logins {
    fn learn(&mut self, sight: &Sight) {
        self.at = sight.at;
        let told = sight.ledger.iter().flat_map(|ledger| &ledger.sessions);
        for (id, end) in told.filter_map(|(id, session)| Some((*id, session.expires_at?))) {
            latest(&mut self.ends, id, end);
        }
        let Some(target) = &sight.target else { return };
        for (id, row) in &target.fence {
            row.valid_until.into_iter().for_each(|end| latest(&mut self.ends, *id, end));
            row.steady_end.into_iter().for_each(|end| latest(&mut self.steady_ends, *id, end));
        }
        let is_passed = |id: &SessionId| self.steady_ends.get(id).is_some_and(|end| *end < target.steady);
        self.passed.retain(|id, _| is_passed(id));
        let passed = self.steady_ends.keys().copied().filter(is_passed);
        for id in passed {
            self.passed.entry(id).or_insert(sight.at);
        }
        let cut = sight.ledger.iter().flat_map(|ledger| &ledger.sessions).filter(|(_, session)| session.cut);
        for (id, _) in cut {
            self.cuts.entry(*id).or_insert(target.clock);
        }
    }

    /// A login that was let in began before the end, by the server's clock and by one that never goes back.
    fn check(&self, login: &Login, found: &mut Found<'_>) {
        let Some(began) = login.let_in else { return found.checked() };
        let (whom, session) = (login.session.to_string(), &login.session);
        if let Some(end) = self.ends.get(session) {
            found.holds(began <= *end, &whom, || format!("let in at {began}, after its end at {end}"));
        }
        if let Some(since) = self.passed.get(session) {
            let late = self.at.saturating_sub(*since);
            let text =
                || format!("let in at {began}, {late:?} after its time had passed by a clock that never goes back");
            found.holds(late <= found.bounds.clock, &whom, text);
        }
        if let Some(cut) = self.cuts.get(session).filter(|_| !self.back.contains(session)) {
            found.holds(began <= *cut, &whom, || format!("let in at {began}, after it was said to be cut at {cut}"));
        }
    }
}

/// An end may be moved out, by an extension; never in.
fn latest(ends: &mut BTreeMap<SessionId, Timestamp>, id: SessionId, end: Timestamp) {
    let known = ends.entry(id).or_insert(end);
    *known = end.max(*known);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, heard, id, login, sight, violated};
    use super::*;

    #[test]
    fn a_login_before_the_end_is_right_and_one_after_it_is_not() {
        let world = || sight(1).session(1, |session| session.expires_at = Some(at(100))).clock(50).done();
        assert!(heard(&[world(), login(1, Some(99)), login(1, None)]).is_empty());
        let wrong = heard(&[world(), login(1, Some(101))]);
        assert_eq!(violated(&wrong), [Invariant::I1], "{wrong:?}");
        assert!(wrong[0].what.contains(&id(1).to_string()));
    }

    #[test]
    fn a_clock_that_was_set_back_lets_nobody_in_again() {
        let ended = |second, now| sight(second).fence(1, |row| row.steady_end = Some(at(100))).clock(now).done();
        assert!(heard(&[ended(1, 101), ended(2, 102), login(1, Some(60))]).is_empty(), "a moment of slack");
        assert_eq!(violated(&heard(&[ended(1, 101), ended(5, 105), login(1, Some(60))])), [Invariant::I1]);
        // It ended at once, by a jump ahead: from then on there is as much slack as ever.
        assert!(heard(&[ended(1, 99), ended(2, 3600), login(1, Some(60))]).is_empty());
        assert_eq!(
            violated(&heard(&[ended(1, 99), ended(2, 3600), ended(5, 3603), login(1, Some(60))])),
            [Invariant::I1]
        );
    }

    #[test]
    fn nobody_is_let_in_after_the_cut_was_told() {
        let cut = || sight(1).session(1, |session| session.cut = true).clock(50).done();
        assert!(heard(&[cut(), login(1, Some(49))]).is_empty());
        assert_eq!(violated(&heard(&[cut(), login(1, Some(51))])), [Invariant::I1]);
    }
}
