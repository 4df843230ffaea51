//! The names of the invariants.

/// What always holds, whatever breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Invariant {
    /// No login after the end.
    I1,
    /// No connection long after the end.
    I2,
    /// One role at most for a session, one session for a request.
    I3,
    /// What is not wanted cannot log in.
    I4,
    /// Every accepted request is accounted for.
    I5,
    /// What is stale changes nothing.
    I6,
    /// The log verifies, and tells each change once.
    I7,
    /// A secret is where it belongs and nowhere else.
    I8,
    /// Errors are typed, programs do not break.
    I9,
    /// Nothing of a user's is lost.
    I10,
    /// Revoking works.
    I11,
    /// All comes to rest by itself once the fault is gone.
    I12,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::I1,
        Self::I2,
        Self::I3,
        Self::I4,
        Self::I5,
        Self::I6,
        Self::I7,
        Self::I8,
        Self::I9,
        Self::I10,
        Self::I11,
        Self::I12,
    ];

    /// What it says.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::I1 => "no login is let in after the end, by the target's high-water clock",
            Self::I2 => "no connection outlives its session by more than 5 s while target and agent work",
            Self::I3 => "a session has one role at most, a request one session",
            Self::I4 => "what is not wanted cannot log in 10 s later, a role in stock never; no role without a session",
            Self::I5 => "every accepted request is in the ledger, over or visibly on its way",
            Self::I6 => "generations only grow, an end is never undone, a delivered password stays",
            Self::I7 => "the log verifies and tells each change exactly once",
            Self::I8 => "no password in a log, a file of ours, a data directory or a process list",
            Self::I9 => "every error has a code, no program panics or ends by itself",
            Self::I10 => "no table that a user made is lost",
            Self::I11 => "a revoke is accepted and takes the login away within 10 s",
            Self::I12 => "a new session works again, without a hand, once the fault is gone",
        }
    }
}

impl std::fmt::Display for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
