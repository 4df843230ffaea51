//! Small worlds for the rules' tests.

use super::{Bounds, Invariant, Judge, Violation};
use crate::evidence::{
    Answer, Asked, Books, Evidence, FenceSight, LedgerSight, Login, RoleSight, SessionSight, Sight, TargetSight,
};
use crate::part::{Part, Parts};
use gk_shared::ids::SessionId;
use jiff::Timestamp;
use std::time::Duration;

/// The session of this number.
pub(super) fn id(number: u8) -> SessionId {
    SessionId::from_parts(1_700_000_000_000, [number; 10])
}

/// The instant of this second.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a small number is in range")
}

/// What a judge says who heard this.
pub(super) fn heard(all: &[Evidence]) -> Vec<Violation> {
    let mut judge = Judge::new(Bounds::promised());
    all.iter().for_each(|evidence| judge.hear(evidence));
    judge.violations().to_vec()
}

/// The invariants that did not hold.
pub(super) fn violated(all: &[Violation]) -> Vec<Invariant> {
    all.iter().map(|violation| violation.invariant).collect()
}

/// A look that is put together piece by piece.
pub(super) struct Look(Sight);

/// A look at this second, at nothing yet.
pub(super) fn sight(second: u64) -> Look {
    Look(Sight { at: Duration::from_secs(second), ..Sight::default() })
}

impl Look {
    fn ledger(&mut self) -> &mut LedgerSight {
        self.0.ledger.get_or_insert_default()
    }

    fn target(&mut self) -> &mut TargetSight {
        self.0.target.get_or_insert_default()
    }

    pub(super) fn out(mut self, parts: &[Part]) -> Self {
        self.0.out = Parts::of(parts);
        self
    }

    pub(super) fn links(mut self, links: i64) -> Self {
        self.ledger().links = links;
        self
    }

    pub(super) fn session(mut self, number: u8, set: impl FnOnce(&mut SessionSight)) -> Self {
        set(self.ledger().sessions.entry(id(number)).or_default());
        self
    }

    pub(super) fn role(mut self, number: u8, set: impl FnOnce(&mut RoleSight)) -> Self {
        set(self.target().roles.entry(id(number)).or_default());
        self
    }

    pub(super) fn spare(mut self, role: &str, can_login: bool) -> Self {
        self.target().spares.insert(role.to_owned(), can_login);
        self
    }

    pub(super) fn fence(mut self, number: u8, set: impl FnOnce(&mut FenceSight)) -> Self {
        set(self.target().fence.entry(id(number)).or_default());
        self
    }

    pub(super) fn backends(mut self, oid: u32, count: i64) -> Self {
        self.target().backends.insert(oid, count);
        self
    }

    pub(super) fn clock(mut self, second: i64) -> Self {
        (self.target().clock, self.target().steady) = (at(second), at(second));
        self
    }

    pub(super) fn done(self) -> Evidence {
        Evidence::Sight(Box::new(self.0))
    }
}

/// A login with the session's credential, let in at this second or refused.
pub(super) fn login(number: u8, let_in: Option<i64>) -> Evidence {
    let refusal = let_in.is_none().then(|| "28P01".to_owned());
    Evidence::Login(Login { at: Duration::from_secs(2), session: id(number), let_in: let_in.map(at), refusal })
}

/// An answer.
pub(super) fn answered(asked: Asked, status: u16, code: &str, retryable: bool) -> Evidence {
    Evidence::Answer(Answer { at: Duration::from_secs(1), asked, status, code: code.to_owned(), retryable })
}

/// A session was given for this key.
pub(super) fn given(key: &str, number: u8) -> Evidence {
    answered(Asked::Session { key: key.to_owned(), given: Some(id(number)) }, 201, "", false)
}

/// Books with a live session for each key.
pub(super) fn books<const N: usize>(keys: [(&str, u8); N]) -> Evidence {
    let mut books = Books { asked_at: Duration::from_secs(60), ..Books::default() };
    for (key, number) in keys {
        books.keys.insert(key.to_owned(), id(number));
        let session = SessionSight { status: "provisioning".to_owned(), wanted: true, ..SessionSight::default() };
        books.sessions.insert(id(number), session);
        books.events.insert((id(number), "session.requested".to_owned()), 1);
    }
    Evidence::Books(books)
}
