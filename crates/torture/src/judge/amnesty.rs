//! Sessions that a restored ledger knows nothing of: they are nobody's to end before their own time, so the bounds for what is
//! not wanted do not count for them. Their own end does.

use gk_shared::ids::SessionId;
use std::collections::BTreeSet;
use std::time::Duration;

/// A lease of five seconds, and some: until then a worker may still make what was asked for before the restore.
const LATE_WORKERS: Duration = Duration::from_secs(15);

/// Who is let off.
#[derive(Debug, Default)]
pub(super) struct Amnesty {
    restored: Option<Duration>,
    pending: bool,
    known: BTreeSet<SessionId>,
}

impl Amnesty {
    /// The ledger has been set back.
    pub(super) const fn grant(&mut self) {
        self.pending = true;
    }

    /// Whether this unknown session, seen now, comes from what the ledger has forgotten.
    pub(super) fn covers(&mut self, now: Duration, id: SessionId) -> bool {
        if std::mem::take(&mut self.pending) {
            self.restored = Some(now);
        }
        if self.restored.is_some_and(|restored| now.saturating_sub(restored) < LATE_WORKERS) {
            self.known.insert(id);
        }
        self.known.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::id;
    use super::*;

    #[test]
    fn only_what_is_unknown_soon_after_a_restore_is_let_off_and_that_for_ever() {
        let at = Duration::from_secs;
        let mut amnesty = Amnesty::default();
        assert!(!amnesty.covers(at(1), id(1)), "nothing was restored");
        amnesty.grant();
        assert!(amnesty.covers(at(2), id(1)));
        assert!(amnesty.covers(at(12), id(2)));
        assert!(!amnesty.covers(at(60), id(3)));
        assert!(amnesty.covers(at(60), id(1)));
    }
}
