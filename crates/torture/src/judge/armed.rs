//! I4: what is not wanted cannot log in for long, and neither can what the ledger does not know. A role in stock is nobody's
//! yet, so it cannot log in for a moment.

use super::amnesty::Amnesty;
use super::{Found, Invariant, Overstay, Rule};
use crate::evidence::{Evidence, LedgerSight, Restored, Sight, TargetSight};
use gk_shared::ids::SessionId;

#[derive(Debug, Default)]
pub(super) struct Armed {
    unwanted: Overstay<SessionId>,
    forgotten: Amnesty,
}

impl Rule for Armed {
    fn invariant(&self) -> Invariant {
        Invariant::I4
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        if let Evidence::Restored(Restored::Ledger) = evidence {
            self.forgotten.grant();
        }
        let Evidence::Sight(sight) = evidence else { return };
        for (role, can_login) in sight.target.iter().flat_map(|target| &target.spares) {
            found.holds(!can_login, role, || "waits in stock, and may log in".to_owned());
        }
        let (Some(ledger), Some(target)) = (&sight.ledger, &sight.target) else {
            self.unwanted = Overstay::default();
            return;
        };
        found.checked();
        self.look(sight, ledger, target, found);
    }
}

impl Armed {
    fn look(&mut self, sight: &Sight, ledger: &LedgerSight, target: &TargetSight, found: &mut Found<'_>) {
        let wanted = |id: &SessionId| ledger.sessions.get(id).is_some_and(|session| session.wanted);
        let armed = target.roles.iter().filter(|(_, role)| role.marked && role.armed).map(|(id, _)| *id);
        let forgotten = &mut self.forgotten;
        let mut let_off = |id: &SessionId| !ledger.sessions.contains_key(id) && forgotten.covers(sight.at, *id);
        let wrong: Vec<_> = armed.filter(|id| !wanted(id) && !let_off(id)).collect();
        let bound = found.bounds.converge;
        for id in self.unwanted.look(sight.at, sight.out.can_end(), wrong, bound) {
            let known = ledger.sessions.contains_key(&id);
            let why = if known { "it was no longer wanted" } else { "the ledger knew nothing of it" };
            found.violated(&id.to_string(), format!("could log in {bound:?} after {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{heard, sight, violated};
    use super::*;
    use crate::part::Part;

    fn world(second: u64, wanted: Option<bool>, out: &[Part]) -> Evidence {
        let sight = sight(second).out(out).role(1, |role| (role.marked, role.armed) = (true, true)).clock(1);
        match wanted {
            Some(wanted) => sight.session(1, move |session| session.wanted = wanted).done(),
            None => sight.session(2, |_| {}).done(),
        }
    }

    #[test]
    fn a_login_that_is_not_wanted_is_gone_in_time() {
        assert!(heard(&[world(1, Some(true), &[]), world(60, Some(true), &[])]).is_empty());
        assert!(heard(&[world(1, Some(false), &[]), world(10, Some(false), &[])]).is_empty());
        assert_eq!(violated(&heard(&[world(1, Some(false), &[]), world(12, Some(false), &[])])), [Invariant::I4]);
    }

    #[test]
    fn a_role_that_nobody_knows_may_not_stay_either() {
        assert_eq!(violated(&heard(&[world(1, None, &[]), world(12, None, &[])])), [Invariant::I4]);
    }

    #[test]
    fn a_role_in_stock_that_can_log_in_is_found_at_once() {
        let stocked = |can_login| sight(1).spare("gkspare_1", can_login).done();
        assert!(heard(&[stocked(false)]).is_empty());
        assert_eq!(violated(&heard(&[stocked(true)])), [Invariant::I4]);
    }

    #[test]
    fn time_without_a_control_plane_does_not_count() {
        let out = [Part::Plane];
        assert!(heard(&[world(1, Some(false), &out), world(40, Some(false), &out)]).is_empty());
    }

    #[test]
    fn what_a_restored_ledger_does_not_know_is_left_to_its_own_end() {
        let unknown =
            |second| sight(second).session(2, |_| {}).role(1, |role| (role.marked, role.armed) = (true, true)).done();
        let restored = || Evidence::Restored(Restored::Ledger);
        assert!(heard(&[restored(), unknown(1), unknown(30)]).is_empty());
        assert_eq!(violated(&heard(&[unknown(1), unknown(30)])), [Invariant::I4]);
    }
}
