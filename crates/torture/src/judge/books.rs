//! I5: what was accepted is in the ledger, and nothing that lives vanishes from it.

use super::{Found, Invariant, Rule};
use crate::evidence::{Answer, Asked, Books, Evidence, LedgerSight, Restored, Sight};
use gk_shared::ids::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A look shows what ended less than a minute ago: after a longer pause something may rightly have gone unseen.
const LONGEST_PAUSE: Duration = Duration::from_secs(50);
/// Words of a session that is over.
const OVER: [&str; 5] = ["revoked", "expired", "failed", "denied", "cancelled"];

#[derive(Debug, Default)]
pub(super) struct Accounted {
    accepted: BTreeMap<String, (SessionId, Duration)>,
    live: BTreeSet<SessionId>,
    looked: Duration,
}

impl Rule for Accounted {
    fn invariant(&self) -> Invariant {
        Invariant::I5
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        match evidence {
            Evidence::Sight(sight) => sight.ledger.iter().for_each(|ledger| self.look(sight, ledger, found)),
            Evidence::Answer(Answer { asked: Asked::Session { key, given: Some(given) }, at, .. }) => {
                self.accepted.entry(key.clone()).or_insert((*given, *at));
            }
            Evidence::Books(books) => self.balance(books, found),
            // What was accepted since is forgotten, and its requesters ask again.
            Evidence::Restored(Restored::Ledger) => *self = Self::default(),
            Evidence::Answer(_)
            | Evidence::Login(_)
            | Evidence::Program(_)
            | Evidence::Audit(_)
            | Evidence::Search(_)
            | Evidence::Object(_)
            | Evidence::Recovery(_)
            | Evidence::Restored(Restored::Target) => {}
        }
    }
}

impl Accounted {
    fn look(&mut self, sight: &Sight, ledger: &LedgerSight, found: &mut Found<'_>) {
        let paused = sight.at.saturating_sub(self.looked) > LONGEST_PAUSE;
        for id in std::mem::take(&mut self.live).iter().filter(|_| !paused) {
            let there = ledger.sessions.contains_key(id);
            found.holds(there, &id.to_string(), || "was in the ledger, not over, and is no more".to_owned());
        }
        self.live = ledger.sessions.iter().filter(|(_, session)| !session.ended).map(|(id, _)| *id).collect();
        self.looked = sight.at;
    }

    fn balance(&self, books: &Books, found: &mut Found<'_>) {
        for (key, (given, _)) in self.accepted.iter().filter(|(_, (_, at))| *at < books.asked_at) {
            let there = books.keys.get(key) == Some(given) && books.sessions.contains_key(given);
            found
                .holds(there, key, || format!("was accepted as {given}, and the ledger has {:?}", books.keys.get(key)));
        }
        for (id, session) in books.sessions.iter().filter(|_| books.at_rest) {
            let over = session.ended && OVER.contains(&session.status.as_str());
            found.holds(over || session.status == "quarantined", &id.to_string(), || {
                format!("is neither over nor on its way: {}", session.status)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{books, given, heard, sight, violated};
    use super::*;

    #[test]
    fn an_accepted_request_that_the_ledger_lost_is_found() {
        assert!(heard(&[given("key-1", 1), books([("key-1", 1)])]).is_empty());
        assert_eq!(violated(&heard(&[given("key-1", 1), books([])])), [Invariant::I5]);
    }

    #[test]
    fn a_session_that_lives_does_not_vanish() {
        let world = |second, number| sight(second).session(number, |_| {}).clock(1).done();
        assert!(heard(&[world(1, 1), world(2, 1)]).is_empty());
        assert_eq!(violated(&heard(&[world(1, 1), world(2, 2)])), [Invariant::I5]);
        assert!(heard(&[world(1, 1), world(90, 2)]).is_empty(), "nobody looked for too long to know");
    }
}
