//! What one seen, dropped or missing role means for its session. Pure.

use gk_shared::session::{Desired, Observed};
use gk_shared::wire::agent::{ObservedRole, RoleState};

/// What the ledger holds of a session.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Known {
    pub(in crate::store) desired: Desired,
    pub(in crate::store) observed: Observed,
    pub(in crate::store) generation: i64,
    pub(in crate::store) observed_generation: i64,
    pub(in crate::store) backends: Option<i64>,
    pub(in crate::store) ready: bool,
    pub(in crate::store) cut: bool,
    pub(in crate::store) ended: bool,
    /// Its time is up.
    pub(in crate::store) over: bool,
    /// Its last change here is older than the look can be.
    pub(in crate::store) settled: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Step {
    /// As it should be, or too fresh to say.
    Nothing,
    /// As it should be; store what was seen.
    Note,
    /// It should be gone and can still do something: no pause before the next try.
    Hurry,
    /// It was proven gone or harmless, and is not: the proof is withdrawn.
    Resurrected,
    /// It should be there and is not: it ends, as failed. `dropped`: the role is gone already.
    Lost { dropped: bool, replaced: bool },
    /// The agent ended it because its time was up, before the control plane did.
    Expired { dropped: bool },
    /// It should be gone and is.
    Gone,
    /// No session explains it.
    Orphan,
}

/// A role that was seen.
pub(in crate::store) fn seen(known: &Known, role: &ObservedRole) -> Step {
    let alive = role.armed || role.backends > 0;
    match (known.desired, role.state) {
        (Desired::Present, RoleState::Minted | RoleState::Orphan) if role.armed => noted(known, role),
        // Its mint has not been reported yet; what becomes of it is up to its lease.
        (Desired::Present, _) if !known.ready => Step::Nothing,
        (Desired::Present, RoleState::Replaced) => Step::Lost { dropped: false, replaced: true },
        (Desired::Present, state) => unarmed(known, state == RoleState::Dropped),
        (Desired::Absent, RoleState::Dropped) if !alive => {
            if known.ended {
                Step::Nothing
            } else {
                Step::Gone
            }
        }
        (Desired::Absent, _) if known.ended && known.settled => Step::Resurrected,
        (Desired::Absent, _) if known.ended => Step::Nothing,
        (Desired::Absent, _) if known.cut && alive && known.settled => Step::Resurrected,
        (Desired::Absent, _) if alive && !known.cut => Step::Hurry,
        (Desired::Absent, _) => Step::Nothing,
    }
}

fn noted(known: &Known, role: &ObservedRole) -> Step {
    let same = known.backends == Some(role.backends) && known.observed_generation == role.generation;
    if !known.ready || same { Step::Nothing } else { Step::Note }
}

/// It is wanted and was ready, and cannot log in.
fn unarmed(known: &Known, dropped: bool) -> Step {
    match known.over {
        true => Step::Expired { dropped },
        false => Step::Lost { dropped, replaced: false },
    }
}

/// A session that the agent or the deadman says it has cut and dropped by itself.
pub(in crate::store) fn dropped(known: &Known) -> Step {
    match known.desired {
        Desired::Present => unarmed(known, true),
        Desired::Absent if known.ended => Step::Nothing,
        Desired::Absent => Step::Gone,
    }
}

/// A session that should be there and was not seen though all was looked at.
pub(in crate::store) fn missing(known: &Known) -> Step {
    let wanted = known.desired == Desired::Present && known.observed == Observed::Armed;
    if wanted && known.settled { unarmed(known, false) } else { Step::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::ids::SessionId;

    fn known(desired: Desired) -> Known {
        Known {
            desired,
            observed: Observed::Armed,
            generation: 3,
            observed_generation: 2,
            backends: Some(0),
            ready: true,
            cut: false,
            ended: false,
            over: false,
            settled: true,
        }
    }
    fn role(state: RoleState, armed: bool) -> ObservedRole {
        let session_id = SessionId::from_parts(1, [1; 10]);
        ObservedRole { session_id, generation: 2, state, armed, backends: 0, valid_until: None, detail: None }
    }

    #[test]
    fn a_wanted_role_that_works_is_only_noted_and_only_when_something_changed() {
        let present = known(Desired::Present);
        assert_eq!(seen(&present, &role(RoleState::Minted, true)), Step::Nothing);
        let busy = ObservedRole { backends: 3, ..role(RoleState::Minted, true) };
        assert_eq!(seen(&present, &busy), Step::Note);
    }

    #[test]
    fn a_wanted_role_that_cannot_log_in_is_lost_or_expired_but_never_before_it_was_ready() {
        let present = known(Desired::Present);
        let over = Known { over: true, ..present };
        let making = Known { ready: false, ..present };
        for state in [RoleState::Disarmed, RoleState::Stuck, RoleState::Dropped, RoleState::Minted] {
            let seen_role = role(state, false);
            let dropped = state == RoleState::Dropped;
            assert_eq!(seen(&present, &seen_role), Step::Lost { dropped, replaced: false });
            assert_eq!(seen(&over, &seen_role), Step::Expired { dropped });
            assert_eq!(seen(&making, &seen_role), Step::Nothing);
        }
        assert_eq!(seen(&present, &role(RoleState::Replaced, true)), Step::Lost { dropped: false, replaced: true });
    }

    #[test]
    fn a_role_that_comes_back_is_resurrected_unless_the_look_may_be_older_than_the_proof() {
        let cut = Known { cut: true, ..known(Desired::Absent) };
        let ended = Known { ended: true, ..cut };
        let armed = role(RoleState::Minted, true);
        assert_eq!(seen(&cut, &armed), Step::Resurrected);
        assert_eq!(seen(&ended, &armed), Step::Resurrected);
        assert_eq!(seen(&ended, &role(RoleState::Disarmed, false)), Step::Resurrected);
        for fresh in [Known { settled: false, ..cut }, Known { settled: false, ..ended }] {
            assert_eq!(seen(&fresh, &armed), Step::Nothing);
        }
        assert_eq!(seen(&cut, &role(RoleState::Stuck, false)), Step::Nothing);
        assert_eq!(seen(&known(Desired::Absent), &armed), Step::Hurry);
    }

    #[test]
    fn what_was_dropped_is_gone_if_unwanted_and_lost_or_expired_if_wanted() {
        assert_eq!(dropped(&known(Desired::Absent)), Step::Gone);
        assert_eq!(dropped(&Known { ended: true, ..known(Desired::Absent) }), Step::Nothing);
        assert_eq!(dropped(&known(Desired::Present)), Step::Lost { dropped: true, replaced: false });
        assert_eq!(dropped(&Known { over: true, ..known(Desired::Present) }), Step::Expired { dropped: true });
    }

    #[test]
    fn what_is_missing_is_lost_only_when_the_look_is_younger_than_its_credential() {
        let present = known(Desired::Present);
        assert_eq!(missing(&present), Step::Lost { dropped: false, replaced: false });
        assert_eq!(missing(&Known { settled: false, ..present }), Step::Nothing);
        assert_eq!(missing(&Known { observed: Observed::Unknown, ..present }), Step::Nothing);
    }
}
