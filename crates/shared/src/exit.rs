//! Exit codes of `gk`: frozen by tests, listed by `gk help exit-codes`, never reused for another meaning.

/// What a finished `gk` tells the script that called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// All went well.
    Ok = 0,
    /// A failure that no other code names.
    Failure = 1,
    /// Wrong flags, or a value that is missing or malformed; nothing was sent.
    Usage = 2,
    /// The thing named does not exist, or the caller may not see it.
    NotFound = 3,
    /// No token, or a token that has expired or was revoked.
    NotLoggedIn = 4,
    /// Policy or a reviewer said no.
    Denied = 5,
    /// The request contradicts what already is.
    Conflict = 6,
    /// Not decided or not ready yet.
    Pending = 8,
    /// Something is out of reach; the same command may be repeated.
    Unavailable = 9,
    /// A check ran and found something.
    Finding = 10,
    /// `gk exec`: gk itself failed before the command ran.
    ExecFailed = 125,
    /// `gk exec`: the command was found but may not be run.
    ExecNotExecutable = 126,
    /// `gk exec`: no such command.
    ExecNotFound = 127,
    /// The terminal went away (SIGHUP).
    HungUp = 129,
    /// Ctrl-C.
    Interrupted = 130,
    /// Ended by `kill` (SIGTERM).
    Terminated = 143,
}

impl ExitCode {
    /// Every code with the line that `gk help exit-codes` prints, in order.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Ok, "all went well"),
        (Self::Failure, "another failure; the error code says which"),
        (Self::Usage, "wrong or missing input; nothing was sent"),
        (Self::NotFound, "not found, or not yours to see"),
        (Self::NotLoggedIn, "not logged in, or the token has expired"),
        (Self::Denied, "denied by policy or by a reviewer"),
        (Self::Conflict, "conflicts with what already is"),
        (Self::Pending, "pending: waits for an approval, or the wait timed out"),
        (Self::Unavailable, "unavailable; safe to retry"),
        (Self::Finding, "a check found something"),
        (Self::ExecFailed, "gk exec: gk failed before the command ran"),
        (Self::ExecNotExecutable, "gk exec: the command is not executable"),
        (Self::ExecNotFound, "gk exec: no such command"),
        (Self::HungUp, "the terminal went away (SIGHUP)"),
        (Self::Interrupted, "interrupted by Ctrl-C"),
        (Self::Terminated, "ended by kill (SIGTERM)"),
    ];

    /// The number the process exits with.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}
