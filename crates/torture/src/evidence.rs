//! What the judge hears: looks at target and ledger, logins that were tried, answers that clients got, how programs ended.
//!
//! Data alone, so that every rule can be tried without a database.

use crate::part::Parts;
use gk_shared::ids::SessionId;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// One thing that was seen or happened.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// A look at everything, ten times a second.
    Sight(Box<Sight>),
    /// Somebody tried a credential.
    Login(Login),
    /// A client got an answer.
    Answer(Answer),
    /// A program ended by itself, or said what it must not say.
    Program(ProgramSaid),
    /// The whole ledger, when all has come to rest.
    Books(Books),
    /// `gk audit verify` was run.
    Audit(Verified),
    /// A search for secrets was made.
    Search(Search),
    /// An object that a user made was looked for.
    Object(Object),
    /// A fault was healed.
    Recovery(Recovery),
    /// Everything was set back to what it was at an earlier moment.
    Restored(Restored),
}

/// What was set back. It is told while the server is down, so that no look lies on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// The target's server, with its roles and its books.
    Target,
    /// The ledger.
    Ledger,
}

/// A look at ledger and target, in this order: what the ledger says was true when the target was asked.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// Since the stage was set, by this program's own steady clock.
    pub at: Duration,
    /// What was out of action at that moment.
    pub out: Parts,
    /// The ledger; none if it did not answer.
    pub ledger: Option<LedgerSight>,
    /// The target; none if it did not answer.
    pub target: Option<TargetSight>,
}

/// What the ledger says: everything that lives, and what ended a moment ago.
#[derive(Debug, Clone, Default)]
pub struct LedgerSight {
    /// Sessions by id.
    pub sessions: BTreeMap<SessionId, SessionSight>,
    /// Links of the audit chain.
    pub links: i64,
}

/// A session in the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionSight {
    /// Its status word.
    pub status: String,
    /// Whether it is wanted.
    pub wanted: bool,
    /// Why it is not.
    pub end_reason: Option<String>,
    /// Whether its credential was made.
    pub ready: bool,
    /// Its end, once it was ready.
    pub expires_at: Option<Timestamp>,
    /// Whether it is said to have no login and no connection.
    pub cut: bool,
    /// Whether it is over.
    pub ended: bool,
}

/// What the target says.
#[derive(Debug, Clone, Default)]
pub struct TargetSight {
    /// Its clock.
    pub clock: Timestamp,
    /// A clock that goes on where the target's is set back: what time has passed is passed.
    pub steady: Timestamp,
    /// Roles of our pattern by session.
    pub roles: BTreeMap<SessionId, RoleSight>,
    /// Roles that wait in stock for a session, and whether they may log in.
    pub spares: BTreeMap<String, bool>,
    /// The target's own books.
    pub fence: BTreeMap<SessionId, FenceSight>,
    /// Connections by the oid of their role.
    pub backends: BTreeMap<u32, i64>,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleSight {
    /// Its oid.
    pub oid: u32,
    /// Whether it may log in, if the time allows.
    pub can_login: bool,
    /// Whether it may log in now, by the server's clock.
    pub armed: bool,
    /// Whether it carries our mark; others' roles are none of our business.
    pub marked: bool,
}

/// A row of the target's books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FenceSight {
    /// The generation that the target has seen.
    pub generation: i64,
    /// Its word for how far the session is.
    pub state: String,
    /// The role that was made.
    pub role_oid: Option<u32>,
    /// When it ends, by the target's clock.
    pub valid_until: Option<Timestamp>,
    /// When it ends, by the steady clock.
    pub steady_end: Option<Timestamp>,
    /// SHA-256 of the verifier, in hex.
    pub verifier: Option<String>,
}

/// A try to log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// When it came back.
    pub at: Duration,
    /// Whose credential it was.
    pub session: SessionId,
    /// When the server began with it, by its own clock, if it let it in.
    pub let_in: Option<Timestamp>,
    /// The SQLSTATE of a refusal.
    pub refusal: Option<String>,
}

/// What a client was told.
#[derive(Debug, Clone)]
pub struct Answer {
    /// When it came.
    pub at: Duration,
    /// What it asked for.
    pub asked: Asked,
    /// HTTP status.
    pub status: u16,
    /// The error's code; empty where there is none.
    pub code: String,
    /// Whether the client may try again.
    pub retryable: bool,
}

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A session, with this key; and what it was given.
    Session {
        /// The idempotency key.
        key: String,
        /// The session of a good answer.
        given: Option<SessionId>,
    },
    /// The end of a session.
    Revoke(SessionId),
    /// A later end of a session.
    Extend(SessionId),
    /// How a session is.
    Look(SessionId),
}

/// What a program did that is worth a look.
#[derive(Debug, Clone)]
pub struct ProgramSaid {
    /// Its name.
    pub program: String,
    /// Its exit code, if it ended by itself; none if a signal that we did not send ended it.
    pub ended: Option<Option<i32>>,
    /// A line of its log that must not be there.
    pub line: Option<String>,
}

/// The whole ledger.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// Before they were read: what was accepted later may not be in them.
    pub asked_at: Duration,
    /// The session that each idempotency key made.
    pub keys: BTreeMap<String, SessionId>,
    /// Every session.
    pub sessions: BTreeMap<SessionId, SessionSight>,
    /// How often each action was logged for each session.
    pub events: BTreeMap<(SessionId, String), i64>,
    /// Events, and the highest place in the chain.
    pub events_and_links: (i64, i64),
    /// Whether nothing is going on any more: no session is wanted, or on its way out.
    pub at_rest: bool,
}

/// What the verifier said.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its exit code.
    pub code: i32,
    /// Its words.
    pub said: String,
}

/// What a search for secrets found.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// How many secrets were looked for.
    pub secrets: usize,
    /// Where one was found.
    pub found: Vec<String>,
}

/// A table that a user made.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Rows that the user was told are in it.
    pub rows: i64,
    /// Rows that are in it; none if it is not there.
    pub found: Option<i64>,
}

/// How long it took after a fault was gone until all was as it should be.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The fault.
    pub fault: String,
    /// How long; the error says what still was not as it should be.
    pub took: Result<Duration, String>,
}
