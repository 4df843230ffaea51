//! What the run saw with its own eyes: a run in which nobody was let in, refused or cut has proven nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts that everybody adds to.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sessions: AtomicU64,
    let_in: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    revoked: AtomicU64,
    looks: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counted {
    /// Sessions that were asked for and given.
    pub sessions: u64,
    /// Logins that were let in.
    pub let_in: u64,
    /// Logins that were refused.
    pub refused: u64,
    /// Connections that the server ended.
    pub cut: u64,
    /// Revocations that were accepted.
    pub revoked: u64,
    /// Looks at ledger and target.
    pub looks: u64,
}

impl Tally {
    /// A session was given.
    pub fn session(&self) {
        self.0.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// A login was let in.
    pub fn let_in(&self) {
        self.0.let_in.fetch_add(1, Ordering::Relaxed);
    }

    /// A login was refused.
    pub fn refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was ended by the server.
    pub fn cut(&self) {
        self.0.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// A revocation was accepted.
    pub fn revoked(&self) {
        self.0.revoked.fetch_add(1, Ordering::Relaxed);
    }

    /// Ledger and target were looked at.
    pub fn looked(&self) {
        self.0.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts now.
    #[must_use]
    pub fn now(&self) -> Counted {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counted {
            sessions: get(&self.0.sessions),
            let_in: get(&self.0.let_in),
            refused: get(&self.0.refused),
            cut: get(&self.0.cut),
            revoked: get(&self.0.revoked),
            looks: get(&self.0.looks),
        }
    }
}

impl Counted {
    /// The two together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            sessions: self.sessions + other.sessions,
            let_in: self.let_in + other.let_in,
            refused: self.refused + other.refused,
            cut: self.cut + other.cut,
            revoked: self.revoked + other.revoked,
            looks: self.looks + other.looks,
        }
    }

    /// What the run must have seen and has not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let wanted = [
            (self.let_in, "no login was ever let in"),
            (self.refused, "no login was ever refused"),
            (self.cut, "no connection was ever cut"),
        ];
        wanted.into_iter().filter(|(count, _)| *count == 0).map(|(_, what)| what).collect()
    }
}
