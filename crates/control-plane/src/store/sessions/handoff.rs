//! The hand-off: a request that waits for the session it asked for gets it from the report that makes it ready.
//!
//! Always holds: the report notes the delivery in its own transaction, with an event in the name of the one who waits, so
//! nothing is handed out that the log does not have. Who stops waiting at that very moment is in the log as served, and
//! gets the credential at the next look. It is about this process alone; who waits elsewhere is woken and looks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gk_shared::ids::SessionId;
use tokio::sync::oneshot;

use super::record::SessionRecord;
use crate::store::{Ledger, Origin};
use crate::wakeups::{Listener, Wake};

type Waiting = Arc<Mutex<HashMap<SessionId, Taker>>>;

/// Who waits in this process for which session.
#[derive(Debug, Clone, Default)]
pub struct Handoff(Waiting);

/// Who waits.
#[derive(Debug)]
pub(in crate::store) struct Taker {
    /// As the log names them.
    pub(in crate::store) origin: Origin,
    to: oneshot::Sender<Box<SessionRecord>>,
}

/// A place among those who wait, and an ear for what others do to the session.
#[derive(Debug)]
pub struct Seat {
    place: Place,
    woken: Listener,
}

/// The place alone; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    session: SessionId,
    from: oneshot::Receiver<Box<SessionRecord>>,
    waiting: Waiting,
}

impl Handoff {
    fn place(&self, session: SessionId, origin: Origin) -> Place {
        let (to, from) = oneshot::channel();
        locked(&self.0).insert(session, Taker { origin, to });
        Place { session, from, waiting: Arc::clone(&self.0) }
    }

    /// Who waits for the session. From here on nobody else serves them.
    pub(in crate::store) fn take(&self, session: SessionId) -> Option<Taker> {
        locked(&self.0).remove(&session).filter(|taker| !taker.to.is_closed())
    }
}

impl Taker {
    /// Hands over what was committed.
    pub(in crate::store) fn give(self, session: SessionRecord) {
        // Who has stopped waiting looks again, or does not.
        let _ = self.to.send(Box::new(session));
    }
}

impl Seat {
    /// Waits from now on for a session that nobody else knows of yet.
    #[must_use]
    pub fn take(ledger: &Ledger, session: SessionId, origin: Origin) -> Self {
        let woken = ledger.wakeups().listen(&[Wake::Session(session)]);
        Self { place: ledger.handoff().place(session, origin), woken }
    }

    pub(super) fn split(self) -> (Place, Listener) {
        (self.place, self.woken)
    }
}

impl Place {
    /// The session as it was made ready; never, if somebody else has to tell.
    pub(super) async fn taken(&mut self) -> SessionRecord {
        match (&mut self.from).await {
            Ok(session) => *session,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.waiting).remove(&self.session);
    }
}

fn locked(waiting: &Waiting) -> MutexGuard<'_, HashMap<SessionId, Taker>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_served_once_and_who_has_left_is_forgotten() {
        let (handoff, id) = (Handoff::default(), SessionId::from_parts(1, [1; 10]));
        assert!(handoff.take(id).is_none());
        let place = handoff.place(id, Origin::system());
        assert!(handoff.take(id).is_some() && handoff.take(id).is_none());
        drop(place);
        drop(handoff.place(id, Origin::system()));
        assert!(locked(&handoff.0).is_empty() && handoff.take(id).is_none());
    }
}
