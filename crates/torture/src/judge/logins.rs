//! I1: nobody is let in after the end of the session, nor after it was said to be cut.

use super::{Found, Invariant, Rule};
use crate::evidence::{Evidence, Login, Sight};
use gk_shared::ids::SessionId;
use jiff::Timestamp;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Logins {
    ends: BTreeMap<SessionId, Timestamp>,
    cuts: BTreeMap<SessionId, Timestamp>,
    high_water: Option<Timestamp>,
}

impl Rule for Logins {
    fn invariant(&self) -> Invariant {
        Invariant::I1
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        match evidence {
            Evidence::Sight(sight) => self.learn(sight),
            Evidence::Login(login) => self.check(login, found),
            Evidence::Answer(_)
            | Evidence::Program(_)
            | Evidence::Books(_)
            | Evidence::Audit(_)
            | Evidence::Search(_)
            | Evidence::Object(_)
            | Evidence::Recovery(_) => {}
        }
    }
}

impl Logins {
    fn learn(&mut self, sight: &Sight) {
        let told = sight.ledger.iter().flat_map(|ledger| &ledger.sessions);
        let told = told.filter_map(|(id, session)| Some((*id, session.expires_at?)));
        let fence = sight.target.iter().flat_map(|target| &target.fence);
        let fence = fence.filter_map(|(id, row)| Some((*id, row.valid_until?)));
        for (id, end) in told.chain(fence) {
            let known = self.ends.entry(id).or_insert(end);
            *known = end.max(*known);
        }
        let Some(target) = &sight.target else { return };
        self.high_water = Some(self.high_water.map_or(target.high_water, |known| known.max(target.high_water)));
        let cut = sight.ledger.iter().flat_map(|ledger| &ledger.sessions).filter(|(_, session)| session.cut);
        for (id, _) in cut {
            self.cuts.entry(*id).or_insert(target.high_water);
        }
    }

    /// A login that was let in began before the end, by the server's clock and by the highest that it ever showed.
    fn check(&self, login: &Login, found: &mut Found<'_>) {
        let Some(began) = login.let_in else { return found.checked() };
        let whom = login.session.to_string();
        if let Some(end) = self.ends.get(&login.session) {
            found.holds(began <= *end, &whom, || format!("let in at {began}, after its end at {end}"));
            let slack = *end + found.bounds.clock;
            let late = self.high_water.filter(|high| *high > slack);
            found.holds(late.is_none(), &whom, || {
                format!("let in at {began}, when the target's clock had been past its end {end}")
            });
        }
        if let Some(cut) = self.cuts.get(&login.session) {
            found.holds(began <= *cut, &whom, || format!("let in at {began}, after it was said to be cut at {cut}"));
        }
    }
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
        let ended = || sight(1).session(1, |session| session.expires_at = Some(at(100))).clock(110).done();
        assert_eq!(violated(&heard(&[ended(), login(1, Some(60))])), [Invariant::I1]);
    }

    #[test]
    fn nobody_is_let_in_after_the_cut_was_told() {
        let cut = || sight(1).session(1, |session| session.cut = true).clock(50).done();
        assert!(heard(&[cut(), login(1, Some(49))]).is_empty());
        assert_eq!(violated(&heard(&[cut(), login(1, Some(51))])), [Invariant::I1]);
    }
}
