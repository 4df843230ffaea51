//! I2: connections end soon after their session, as long as target and agent work; and whatever works or does not, none is
//! there when the ledger says that there is none.

use super::amnesty::Amnesty;
use super::{Found, Invariant, Overstay, Rule};
use crate::evidence::{Evidence, LedgerSight, Restored, Sight, TargetSight};
use gk_shared::ids::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Backends {
    // The oid is all that a connection keeps of a role that was dropped.
    oids: BTreeMap<SessionId, u32>,
    expired: Overstay<SessionId>,
    unwanted: Overstay<SessionId>,
    forgotten: Amnesty,
    // Said to be cut before their roles came back with a backup.
    back: BTreeSet<SessionId>,
    cut: BTreeSet<SessionId>,
}

impl Rule for Backends {
    fn invariant(&self) -> Invariant {
        Invariant::I2
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        match evidence {
            Evidence::Sight(sight) => self.look(sight, found),
            Evidence::Restored(Restored::Target) => {
                self.oids.clear();
                self.back.append(&mut self.cut);
            }
            Evidence::Restored(Restored::Ledger) => self.forgotten.grant(),
            Evidence::Login(_)
            | Evidence::Answer(_)
            | Evidence::Program(_)
            | Evidence::Books(_)
            | Evidence::Audit(_)
            | Evidence::Search(_)
            | Evidence::Object(_)
            | Evidence::Recovery(_) => {}
        }
    }
}

impl Backends {
    fn look(&mut self, sight: &Sight, found: &mut Found<'_>) {
        let Some(target) = &sight.target else {
            (self.expired, self.unwanted) = (Overstay::default(), Overstay::default());
            return;
        };
        self.oids.extend(target.fence.iter().filter_map(|(id, row)| Some((*id, row.role_oid?))));
        let connected: Vec<SessionId> = self.connected(target);
        let over = connected.iter().filter(|id| is_over(target, **id)).copied();
        let unwanted =
            sight.ledger.iter().flat_map(|ledger| unwanted(ledger, &connected, sight.at, &mut self.forgotten));
        let bound = found.bounds.cut;
        let late = self.expired.look(sight.at, sight.out.can_expire(), over, bound);
        let kept = self.unwanted.look(sight.at, sight.out.can_end() && sight.ledger.is_some(), unwanted, bound);
        found.checked();
        for id in late {
            found.violated(&id.to_string(), format!("connected {bound:?} after its end"));
        }
        for id in kept {
            found.violated(&id.to_string(), format!("connected {bound:?} after it was no longer wanted"));
        }
        sight.ledger.iter().for_each(|ledger| self.hold_to_word(ledger, &connected, found));
    }

    /// The ledger was asked first: what it calls cut had no login and no connection by then.
    fn hold_to_word(&mut self, ledger: &LedgerSight, connected: &[SessionId], found: &mut Found<'_>) {
        let cut = ledger.sessions.iter().filter(|(_, session)| session.cut).map(|(id, _)| *id);
        self.cut.extend(cut);
        for id in connected.iter().filter(|id| !self.back.contains(id)) {
            let said = ledger.sessions.get(id).is_some_and(|session| session.cut);
            found.holds(!said, &id.to_string(), || "is said to be cut, and is connected".to_owned());
        }
    }

    fn connected(&self, target: &TargetSight) -> Vec<SessionId> {
        let connected = |oid: &u32| target.backends.get(oid).is_some_and(|count| *count > 0);
        self.oids.iter().filter(|(_, oid)| connected(oid)).map(|(id, _)| *id).collect()
    }
}

/// A row that is no longer shown was closed long ago.
fn is_over(target: &TargetSight, id: SessionId) -> bool {
    let Some(row) = target.fence.get(&id) else { return true };
    row.state == "closed" || row.steady_end.is_some_and(|end| end <= target.steady)
}

fn unwanted(ledger: &LedgerSight, connected: &[SessionId], at: Duration, forgotten: &mut Amnesty) -> Vec<SessionId> {
    let wrong = connected.iter().filter(|id| match ledger.sessions.get(id) {
        Some(session) => !session.wanted,
        None => !forgotten.covers(at, **id),
    });
    wrong.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, heard, sight, violated};
    use super::*;
    use crate::part::Part;

    fn world(second: u64, clock: i64, out: &[Part]) -> Evidence {
        let fence = |row: &mut crate::evidence::FenceSight| {
            (row.role_oid, row.steady_end) = (Some(7), Some(at(100)));
        };
        sight(second)
            .out(out)
            .session(1, |session| session.wanted = true)
            .fence(1, fence)
            .backends(7, 1)
            .clock(clock)
            .done()
    }

    #[test]
    fn a_connection_may_stay_a_moment_after_the_end_and_no_longer() {
        assert!(heard(&[world(1, 99, &[]), world(2, 101, &[]), world(6, 105, &[])]).is_empty());
        assert_eq!(violated(&heard(&[world(2, 101, &[]), world(8, 107, &[])])), [Invariant::I2]);
    }

    #[test]
    fn nobody_is_blamed_while_the_agent_is_out() {
        assert!(heard(&[world(2, 101, &[Part::Agent]), world(20, 120, &[Part::Agent])]).is_empty());
        let healed = [world(2, 101, &[Part::Agent]), world(9, 108, &[]), world(15, 114, &[])];
        assert_eq!(violated(&heard(&healed)), [Invariant::I2]);
    }

    #[test]
    fn a_session_that_is_said_to_be_cut_and_is_connected_is_found_at_once() {
        let cut = |connected| {
            let fence = |row: &mut crate::evidence::FenceSight| row.role_oid = Some(7);
            sight(1).session(1, |it| it.cut = true).fence(1, fence).backends(7, connected).clock(50).done()
        };
        assert!(heard(&[cut(0)]).is_empty());
        assert_eq!(violated(&heard(&[cut(1)])), [Invariant::I2]);
        assert!(heard(&[cut(0), Evidence::Restored(Restored::Target), cut(1)]).is_empty(), "its role came back");
    }

    #[test]
    fn a_connection_of_a_role_that_was_dropped_is_still_seen() {
        let gone = |second| sight(second).session(1, |_| {}).backends(7, 1).clock(50).done();
        assert_eq!(violated(&heard(&[world(1, 50, &[]), gone(2), gone(9)])), [Invariant::I2]);
    }
}
