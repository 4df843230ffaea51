//! I2: connections end soon after their session, as long as target and agent work.

use super::{Found, Invariant, Overstay, Rule};
use crate::evidence::{Evidence, LedgerSight, TargetSight};
use gk_shared::ids::SessionId;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Backends {
    // The oid is all that a connection keeps of a role that was dropped.
    oids: BTreeMap<SessionId, u32>,
    expired: Overstay<SessionId>,
    unwanted: Overstay<SessionId>,
}

impl Rule for Backends {
    fn invariant(&self) -> Invariant {
        Invariant::I2
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        let Evidence::Sight(sight) = evidence else { return };
        let Some(target) = &sight.target else {
            (self.expired, self.unwanted) = (Overstay::default(), Overstay::default());
            return;
        };
        self.oids.extend(target.fence.iter().filter_map(|(id, row)| Some((*id, row.role_oid?))));
        let connected: Vec<SessionId> = self.connected(target);
        let over = connected.iter().filter(|id| is_over(target, **id)).copied();
        let unwanted = sight.ledger.as_ref().map(|ledger| connected.iter().filter(|id| !wanted(ledger, **id)).copied());
        let bound = found.bounds.cut;
        let late = self.expired.look(sight.at, sight.out.can_expire(), over, bound);
        let unwanted = unwanted.into_iter().flatten();
        let kept = self.unwanted.look(sight.at, sight.out.can_end() && sight.ledger.is_some(), unwanted, bound);
        found.checked();
        for id in late {
            found.violated(&id.to_string(), format!("connected {bound:?} after its end"));
        }
        for id in kept {
            found.violated(&id.to_string(), format!("connected {bound:?} after it was no longer wanted"));
        }
    }
}

impl Backends {
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

fn wanted(ledger: &LedgerSight, id: SessionId) -> bool {
    ledger.sessions.get(&id).is_some_and(|session| session.wanted)
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
    fn a_connection_of_a_role_that_was_dropped_is_still_seen() {
        let gone = |second| sight(second).session(1, |_| {}).backends(7, 1).clock(50).done();
        assert_eq!(violated(&heard(&[world(1, 50, &[]), gone(2), gone(9)])), [Invariant::I2]);
    }
}
