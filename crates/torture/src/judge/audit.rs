//! I7: the log verifies, never gets shorter, and tells each change of a session exactly once.

use super::{Found, Invariant, Rule};
use crate::evidence::{Books, Evidence, SessionSight};
use gk_shared::ids::SessionId;

#[derive(Debug, Default)]
pub(super) struct Audited {
    links: i64,
}

impl Rule for Audited {
    fn invariant(&self) -> Invariant {
        Invariant::I7
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        match evidence {
            Evidence::Sight(sight) => {
                let Some(ledger) = &sight.ledger else { return };
                let before = std::mem::replace(&mut self.links, ledger.links);
                found.holds(ledger.links >= before, "the log", || {
                    format!("had {before} links and now has {}", ledger.links)
                });
            }
            Evidence::Books(books) => tell_once(books, found),
            Evidence::Audit(verified) => {
                found.holds(verified.code == 0, "gk audit verify", || {
                    format!("exit {}: {}", verified.code, verified.said)
                });
            }
            Evidence::Login(_)
            | Evidence::Answer(_)
            | Evidence::Program(_)
            | Evidence::Search(_)
            | Evidence::Object(_)
            | Evidence::Recovery(_) => {}
        }
    }
}

/// Event and change are one transaction, so this holds at every moment.
fn tell_once(books: &Books, found: &mut Found<'_>) {
    for (id, session) in &books.sessions {
        for (action, times) in expected(session) {
            let told = told(books, *id, action);
            found.holds(told == times, &format!("{id} {action}"), || format!("told {told} times instead of {times}"));
        }
    }
    let (events, links) = books.events_and_links;
    found.holds(links <= events, "the log", || format!("{links} links for {events} events"));
}

fn expected(session: &SessionSight) -> [(&'static str, i64); 5] {
    let once = i64::from;
    let failed = session.end_reason.as_deref() == Some("failed");
    [
        ("session.requested", 1),
        ("session.created", once(session.ready)),
        ("session.failed", once(failed)),
        ("session.ending", once(!session.wanted && !failed)),
        ("session.cleaned", once(session.ended)),
    ]
}

fn told(books: &Books, id: SessionId, action: &str) -> i64 {
    books.events.get(&(id, action.to_owned())).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{books, heard, id, sight, violated};
    use super::*;
    use crate::evidence::Verified;

    #[test]
    fn a_change_that_is_told_twice_or_not_at_all_is_found() {
        let told = |times| {
            let Evidence::Books(mut all) = books([("key-1", 1)]) else { unreachable!("it makes books") };
            all.events.insert((id(1), "session.requested".to_owned()), times);
            Evidence::Books(all)
        };
        assert!(heard(&[told(1)]).is_empty());
        assert_eq!(violated(&heard(&[told(2)])), [Invariant::I7]);
        assert_eq!(violated(&heard(&[told(0)])), [Invariant::I7]);
    }

    #[test]
    fn a_log_that_gets_shorter_or_does_not_verify_is_found() {
        let world = |links| sight(1).links(links).done();
        assert!(heard(&[world(3), world(3), world(4)]).is_empty());
        assert_eq!(violated(&heard(&[world(3), world(2)])), [Invariant::I7]);
        let verified = |code| Evidence::Audit(Verified { code, said: "altered".to_owned() });
        assert_eq!(violated(&heard(&[verified(0), verified(10)])), [Invariant::I7]);
    }
}
