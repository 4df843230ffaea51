//! I11: a revoke that was accepted takes the login away, and while nothing is out of action one is accepted.

use super::{Found, Invariant, Overstay, Rule};
use crate::evidence::{Answer, Asked, Evidence, Restored, Sight};
use gk_shared::ids::SessionId;
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Revokes {
    accepted: BTreeSet<SessionId>,
    refused: BTreeSet<SessionId>,
    armed: Overstay<SessionId>,
    unheard: Overstay<SessionId>,
}

impl Rule for Revokes {
    fn invariant(&self) -> Invariant {
        Invariant::I11
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        match evidence {
            Evidence::Sight(sight) => self.look(sight, found),
            Evidence::Answer(Answer { asked: Asked::Revoke(id), status, .. }) => {
                found.checked();
                match status {
                    200..300 => {
                        self.refused.remove(id);
                        self.accepted.insert(*id);
                    }
                    409 => drop(self.refused.remove(id)),
                    _ => drop(self.refused.insert(*id)),
                }
            }
            Evidence::Restored(Restored::Ledger) => *self = Self::default(),
            Evidence::Answer(_)
            | Evidence::Login(_)
            | Evidence::Program(_)
            | Evidence::Books(_)
            | Evidence::Audit(_)
            | Evidence::Search(_)
            | Evidence::Object(_)
            | Evidence::Recovery(_)
            | Evidence::Restored(Restored::Target) => {}
        }
    }
}

impl Revokes {
    fn look(&mut self, sight: &Sight, found: &mut Found<'_>) {
        let Some(target) = &sight.target else {
            self.armed = Overstay::default();
            return;
        };
        self.accepted.retain(|id| target.roles.contains_key(id));
        let can_log_in = |id: &&SessionId| target.roles.get(id).is_some_and(|role| role.marked && role.armed);
        let bound = found.bounds.converge;
        let armed = self.accepted.iter().filter(can_log_in).copied();
        for id in self.armed.look(sight.at, sight.out.can_end(), armed, bound) {
            found.violated(&id.to_string(), format!("could log in {bound:?} after its revoke was accepted"));
        }
        let unheard = self.refused.iter().copied();
        for id in self.unheard.look(sight.at, sight.out.can_end(), unheard, bound) {
            found.violated(&id.to_string(), format!("its revoke was refused for {bound:?} without a reason"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, heard, id, sight, violated};
    use super::*;

    fn armed(second: u64) -> Evidence {
        let role = |role: &mut crate::evidence::RoleSight| (role.marked, role.armed) = (true, true);
        sight(second).session(1, |session| session.wanted = true).role(1, role).clock(1).done()
    }

    #[test]
    fn a_revoke_that_was_accepted_and_did_nothing_is_found() {
        let revoked = || answered(Asked::Revoke(id(1)), 200, "", false);
        assert!(heard(&[armed(1), armed(30)]).is_empty());
        assert!(heard(&[revoked(), armed(1), armed(10)]).is_empty());
        assert_eq!(violated(&heard(&[revoked(), armed(1), armed(12)])), [Invariant::I11]);
    }

    #[test]
    fn a_revoke_that_is_refused_again_and_again_is_found() {
        let refused = || answered(Asked::Revoke(id(1)), 503, "audit_unavailable", true);
        let accepted = || answered(Asked::Revoke(id(1)), 409, "session_ended", false);
        assert_eq!(violated(&heard(&[refused(), armed(1), armed(12)])), [Invariant::I11]);
        assert!(heard(&[refused(), armed(1), accepted(), armed(12)]).is_empty());
    }
}
