//! I3: a session never has a second role, and a request never a second session.

use super::{Found, Invariant, Rule};
use crate::evidence::{Answer, Asked, Books, Evidence, Restored, TargetSight};
use gk_shared::ids::SessionId;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Single {
    oids: BTreeMap<SessionId, u32>,
    given: BTreeMap<String, SessionId>,
}

impl Rule for Single {
    fn invariant(&self) -> Invariant {
        Invariant::I3
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        match evidence {
            Evidence::Sight(sight) => sight.target.iter().for_each(|target| self.roles(target, found)),
            Evidence::Answer(answer) => self.answer(answer, found),
            Evidence::Books(books) => keys(books, found),
            Evidence::Restored(Restored::Target) => self.oids.clear(),
            Evidence::Restored(Restored::Ledger) => self.given.clear(),
            Evidence::Login(_)
            | Evidence::Program(_)
            | Evidence::Audit(_)
            | Evidence::Search(_)
            | Evidence::Object(_)
            | Evidence::Recovery(_) => {}
        }
    }
}

impl Single {
    fn roles(&mut self, target: &TargetSight, found: &mut Found<'_>) {
        for (id, role) in target.roles.iter().filter(|(_, role)| role.marked) {
            let first = *self.oids.entry(*id).or_insert(role.oid);
            found.holds(first == role.oid, &id.to_string(), || format!("role {first}, and then role {}", role.oid));
        }
    }

    fn answer(&mut self, answer: &Answer, found: &mut Found<'_>) {
        let Asked::Session { key, given: Some(given) } = &answer.asked else { return };
        let first = *self.given.entry(key.clone()).or_insert(*given);
        found.holds(first == *given, key, || format!("was given {first}, and then {given}"));
    }
}

/// Each session was asked for once.
fn keys(books: &Books, found: &mut Found<'_>) {
    let mut asked: BTreeMap<SessionId, u32> = BTreeMap::new();
    for session in books.keys.values() {
        *asked.entry(*session).or_default() += 1;
    }
    for id in books.sessions.keys() {
        let times = asked.get(id).copied().unwrap_or(0);
        found.holds(times == 1, &id.to_string(), || format!("{times} requests stand for it"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{given, heard, sight, violated};
    use super::*;

    #[test]
    fn a_second_role_of_a_session_is_seen_even_when_the_first_is_gone() {
        let role = |oid, marked| {
            sight(1)
                .role(1, move |role| {
                    (role.oid, role.marked) = (oid, marked);
                })
                .done()
        };
        assert!(heard(&[role(7, true), role(7, true)]).is_empty());
        assert!(heard(&[role(7, true), role(8, false)]).is_empty(), "a stranger's role is not ours");
        assert_eq!(violated(&heard(&[role(7, true), role(8, true)])), [Invariant::I3]);
    }

    #[test]
    fn one_key_is_answered_with_one_session_for_ever() {
        assert!(heard(&[given("key", 1), given("key", 1), given("other", 2)]).is_empty());
        assert_eq!(violated(&heard(&[given("key", 1), given("key", 2)])), [Invariant::I3]);
    }
}
