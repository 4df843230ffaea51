//! Room for connections: so many and no more, and whoever has asked nothing yet gives way.
//!
//! Always holds: a connection on which a request has come is never closed for another. So idle sockets, however many,
//! keep nobody out: each newcomer that finds all places taken takes that of the one that has been silent longest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All places.
#[derive(Clone)]
pub(crate) struct Room(Arc<Mutex<Places>>);

struct Places {
    most: usize,
    taken: usize,
    next: u64,
    /// Those who have asked nothing yet, the oldest first.
    silent: BTreeMap<u64, Arc<Ticket>>,
}

#[derive(Default)]
struct Ticket {
    leave: Notify,
    /// Another has the place now.
    given_up: AtomicBool,
}

/// One place; free again when the last copy is dropped.
#[derive(Clone)]
pub(crate) struct Place(Arc<Held>);

struct Held {
    room: Room,
    number: u64,
    ticket: Arc<Ticket>,
}

impl Room {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Places { most, taken: 0, next: 0, silent: BTreeMap::new() })))
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more, if need be that of a silent one; `None` if all who have one have used it.
    pub(crate) fn enter(&self) -> Option<Place> {
        let mut places = self.places();
        if places.taken >= places.most {
            let (_, oldest) = places.silent.pop_first()?;
            oldest.given_up.store(true, Ordering::Relaxed);
            oldest.leave.notify_one();
            places.taken -= 1;
        }
        places.taken += 1;
        let (number, ticket) = (places.next, Arc::<Ticket>::default());
        places.next += 1;
        places.silent.insert(number, Arc::clone(&ticket));
        Some(Place(Arc::new(Held { room: self.clone(), number, ticket })))
    }
}

impl Place {
    /// A request has come: the place is kept until the connection ends.
    pub(crate) fn is_used(&self) {
        self.0.room.places().silent.remove(&self.0.number);
    }

    /// Ends when another takes the place.
    pub(crate) async fn wanted_by_another(&self) {
        self.0.ticket.leave.notified().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut places = self.room.places();
        places.silent.remove(&self.number);
        if !self.ticket.given_up.load(Ordering::Relaxed) {
            places.taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silent_gives_way_and_one_who_asked_never_does() {
        let room = Room::new(2);
        let (first, second) = (room.enter().unwrap(), room.enter().unwrap());
        first.is_used();
        let third = room.enter().unwrap();
        assert!(second.0.ticket.given_up.load(Ordering::Relaxed) && !first.0.ticket.given_up.load(Ordering::Relaxed));
        third.is_used();
        assert!(room.enter().is_none(), "both places are used");
        // The one that gave way has no place to give back.
        drop(second);
        assert!(room.enter().is_none());
        drop(first);
        let fourth = room.enter().unwrap();
        fourth.is_used();
        assert!(room.enter().is_none());
        drop((third, fourth));
        assert_eq!(room.places().taken, 0);
    }
}
