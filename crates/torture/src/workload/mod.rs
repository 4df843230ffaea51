//! The workload: clients that ask for sessions, use them in different ways and end them or let them run out, and repeat
//! every request with the same key until it is answered.

mod caller;
mod client;

pub use caller::{Caller, Wish};
pub use client::Client;

use crate::oracle::Bench;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// A table that a user made, and how many rows the server said are in it.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: i64,
}

/// Everything that users made.
#[derive(Debug, Clone, Default)]
pub struct Things(Arc<Mutex<Vec<Made>>>);

impl Things {
    /// One more.
    pub fn add(&self, made: Made) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(made);
    }

    /// Only these are left: the rest went with what a backup does not hold.
    pub fn set_back_to(&self, made: Vec<Made>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = made;
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Clients at work, until they are told to stop.
#[derive(Debug)]
pub struct Crew {
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Crew {
    /// Sets this many clients to work.
    #[must_use]
    pub fn at_work(clients: impl IntoIterator<Item = Client>) -> Self {
        let (stop, mut set) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for client in clients {
            set.spawn(client.work(Arc::clone(&stop)));
        }
        Self { stop, clients: set }
    }

    /// Tells them to stop and waits until each has finished what it was at.
    ///
    /// # Panics
    /// A client panicked.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.expect("no client panics");
        }
    }
}

/// Where a client works: who it is at the control plane, and what it tells.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its way to the control plane.
    pub caller: Caller,
    /// What it holds besides.
    pub bench: Bench,
    /// What it made.
    pub things: Things,
}
