//! I7: the log verifies, never gets shorter, and tells each change of a session exactly once.

use super::{Found, Invariant, Rule};
use crate::evidence::{Books, Evidence, Restored, SessionSight};
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
            // What was forgotten is not in it any more, and the fault itself sees to it that this is noticed.
            Evidence::Restored(Restored::Ledger) => self.links = 0,
            Evidence::Login(_)
            | Evidence::Answer(_)
            | Evidence::Program(_)
            | Evidence::Search(_)
            | Evidence::Object(_)
            | Evidence::Recovery(_)
            | Evidence::Restored(Restored::Target) => {}
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
        // A role that came back is cleaned once more, and was told to have come back.
        let (told, times) = (told(books, *id, "session.cleaned"), i64::from(session.ended));
        let again = self::told(books, *id, "session.resurrected");
        found.holds((times..=times + again).contains(&told), &format!("{id} session.cleaned"), || {
            format!("told {told} times instead of {times}, and it came back {again} times")
        });
    }
    let (events, links) = books.events_and_links;
    found.holds(links <= events, "the log", || format!("{links} links for {events} events"));
}

fn expected(session: &SessionSight) -> [(&'static str, i64); 4] {
    let once = i64::from;
    let failed = session.end_reason.as_deref() == Some("failed");
    [
        ("session.requested", 1),
        ("session.created", once(session.ready)),
        ("session.failed", once(failed)),
        ("session.ending", once(!session.wanted && !failed)),
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
    fn a_session_is_cleaned_once_and_once_more_for_each_time_that_it_came_back() {
        let cleaned = |times, back| {
            let Evidence::Books(mut all) = books([("key-1", 1)]) else { unreachable!("it makes books") };
            let session = all.sessions.get_mut(&id(1)).expect("it is in the books");
            (session.ended, session.end_reason, session.wanted) = (true, Some("revoked".to_owned()), false);
            for (action, times) in [("session.ending", 1), ("session.cleaned", times), ("session.resurrected", back)] {
                all.events.insert((id(1), action.to_owned()), times);
            }
            Evidence::Books(all)
        };
        assert!(heard(&[cleaned(1, 0)]).is_empty() && heard(&[cleaned(2, 1)]).is_empty());
        assert_eq!(violated(&heard(&[cleaned(2, 0)])), [Invariant::I7]);
        assert_eq!(violated(&heard(&[cleaned(0, 1)])), [Invariant::I7]);
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
