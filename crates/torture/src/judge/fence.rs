//! I6: what comes late changes nothing: the target's books go forward only, and a delivered password is never replaced.

use super::{Found, Invariant, Rule};
use crate::evidence::{Evidence, FenceSight, Restored, Sight};
use gk_shared::ids::SessionId;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Fenced {
    last: BTreeMap<SessionId, FenceSight>,
    delivered: BTreeMap<SessionId, String>,
}

impl Rule for Fenced {
    fn invariant(&self) -> Invariant {
        Invariant::I6
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        if let Evidence::Restored(Restored::Target) = evidence {
            *self = Self::default();
        }
        let Evidence::Sight(sight) = evidence else { return };
        for (id, row) in sight.target.iter().flat_map(|target| &target.fence) {
            let whom = id.to_string();
            if let Some(before) = self.last.insert(*id, row.clone()) {
                let (then, now) = (before.generation, row.generation);
                found.holds(now >= then, &whom, || format!("generation {then}, and then {now}"));
                let undone = before.state != "minted" && row.state == "minted";
                found.holds(!undone, &whom, || format!("was {} and is minted again", before.state));
            }
            self.password(sight, *id, row, found);
        }
    }
}

impl Fenced {
    /// The ledger was asked first: what it calls ready was made by then, so the verifier on the target is the last one.
    fn password(&mut self, sight: &Sight, id: SessionId, row: &FenceSight, found: &mut Found<'_>) {
        let ready = sight.ledger.as_ref().and_then(|ledger| ledger.sessions.get(&id)).is_some_and(|it| it.ready);
        let Some(verifier) = row.verifier.as_ref().filter(|_| ready) else { return };
        let first = self.delivered.entry(id).or_insert_with(|| verifier.clone());
        let same = first == verifier;
        found.holds(same, &id.to_string(), || "its password was replaced after it was delivered".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{heard, sight, violated};
    use super::*;

    fn world(generation: i64, state: &'static str, verifier: &'static str, ready: bool) -> Evidence {
        let fence = move |row: &mut FenceSight| {
            (row.generation, row.state, row.verifier) = (generation, state.to_owned(), Some(verifier.to_owned()));
        };
        sight(1).session(1, move |session| session.ready = ready).fence(1, fence).clock(1).done()
    }

    #[test]
    fn generations_and_states_go_forward_only() {
        assert!(
            heard(&[world(1, "minted", "a", true), world(2, "disarmed", "a", true), world(2, "closed", "a", true)])
                .is_empty()
        );
        assert_eq!(violated(&heard(&[world(2, "minted", "a", true), world(1, "minted", "a", true)])), [Invariant::I6]);
        assert_eq!(violated(&heard(&[world(2, "closed", "a", true), world(2, "minted", "a", true)])), [Invariant::I6]);
    }

    #[test]
    fn a_target_that_was_restored_begins_anew() {
        let (closed, minted) = (world(2, "closed", "a", true), world(1, "minted", "b", true));
        assert!(heard(&[closed, Evidence::Restored(Restored::Target), minted]).is_empty());
    }

    #[test]
    fn a_password_may_change_until_it_is_delivered_and_never_after() {
        assert!(heard(&[world(1, "minted", "a", false), world(2, "minted", "b", true)]).is_empty());
        assert_eq!(violated(&heard(&[world(1, "minted", "a", true), world(2, "minted", "b", true)])), [Invariant::I6]);
    }
}
