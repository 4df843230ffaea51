//! Wake-ups: who waits for a change hears of it at once, in this process directly and in others over the ledger.
//!
//! Always holds: a wake-up is a hint and may get lost; whoever waits looks again after [`NET`] at the latest. A listener
//! is registered before the look that it guards, so a change between look and wait is not missed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gk_shared::ids::{SessionId, TargetId};
use tokio::sync::{mpsc, watch};

/// How long a lost wake-up can delay anybody.
pub const NET: Duration = Duration::from_secs(1);
/// Wake-ups for other processes that wait to be sent; more are dropped, the net catches them.
const OUTBOX: usize = 4096;

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wake {
    /// There may be a session to end or to extend on this target.
    Ends(TargetId),
    /// There may be a session to make on this target.
    Beginnings(TargetId),
    /// This session changed.
    Session(SessionId),
    /// Events were written to the audit log or linked.
    Audit,
}

type Listeners = Arc<Mutex<HashMap<Wake, watch::Sender<()>>>>;

/// The switchboard of one process.
#[derive(Debug, Clone)]
pub struct Wakeups {
    listeners: Listeners,
    outbox: mpsc::Sender<Wake>,
}

impl Wakeups {
    /// A switchboard, and the wake-ups that other processes should hear of.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Wake>) {
        let (outbox, sent) = mpsc::channel(OUTBOX);
        (Self { listeners: Listeners::default(), outbox }, sent)
    }

    /// Tells this process and all others.
    pub fn wake(&self, wake: Wake) {
        self.wake_here(wake);
        // A full outbox loses a hint, which the net of every waiter makes good.
        let _ = self.outbox.try_send(wake);
    }

    /// Tells this process alone: the change came from another one.
    pub fn wake_here(&self, wake: Wake) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = listeners.get(&wake).is_some_and(|sender| sender.send(()).is_err());
        if gone {
            listeners.remove(&wake);
        }
    }

    /// Tells every listener here to look again: wake-ups may have been lost.
    pub fn wake_all(&self) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|_, sender| sender.send(()).is_ok());
    }

    /// Listens for any of these changes from now on. Register first, look second, wait third.
    #[must_use]
    pub fn listen(&self, wakes: &[Wake]) -> Listener {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let receivers = wakes
            .iter()
            .map(|wake| listeners.entry(*wake).or_insert_with(|| watch::Sender::new(())).subscribe())
            .collect();
        Listener { receivers, keys: wakes.to_vec(), listeners: Arc::clone(&self.listeners) }
    }
}

/// A registered interest in some changes.
#[derive(Debug)]
pub struct Listener {
    receivers: Vec<watch::Receiver<()>>,
    keys: Vec<Wake>,
    listeners: Listeners,
}

impl Listener {
    /// Returns at the next of its changes, or after `longest` (never more than [`NET`]).
    pub async fn wait(&mut self, longest: Duration) {
        let changed = async {
            let waits = self.receivers.iter_mut().map(|receiver| Box::pin(receiver.changed()));
            match self.keys.is_empty() {
                true => std::future::pending::<()>().await,
                false => drop(futures_util::future::select_all(waits).await),
            }
        };
        // Both ends mean the same to the caller: look again.
        let _ = tokio::time::timeout(longest.min(NET), changed).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.receivers.clear();
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            if listeners.get(key).is_some_and(|sender| sender.receiver_count() == 0) {
                listeners.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: u8) -> Wake {
        Wake::Session(SessionId::from_parts(1, [n; 10]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_between_the_look_and_the_wait_is_not_missed() {
        let (wakeups, _sent) = Wakeups::new();
        let mut listener = wakeups.listen(&[session(1), session(2)]);
        wakeups.wake(session(2));
        let before = tokio::time::Instant::now();
        listener.wait(NET).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_wake_up_delays_by_the_net_and_no_more() {
        let (wakeups, _sent) = Wakeups::new();
        let mut listener = wakeups.listen(&[session(1)]);
        wakeups.wake(session(2));
        let before = tokio::time::Instant::now();
        listener.wait(Duration::from_secs(30)).await;
        assert_eq!(before.elapsed(), NET);
    }

    #[tokio::test]
    async fn nothing_is_kept_for_listeners_that_are_gone() {
        let (wakeups, mut sent) = Wakeups::new();
        drop(wakeups.listen(&[session(1), Wake::Audit]));
        wakeups.wake(session(1));
        assert!(wakeups.listeners.lock().expect("not poisoned").is_empty());
        assert_eq!(sent.try_recv(), Ok(session(1)));
    }
}
