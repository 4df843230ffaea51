//! Passwords made ahead of need: thousands of hash rounds are done while nobody waits for them.
//!
//! Always holds: a password is handed out once and never comes back, and at most a few wait in memory. The password is
//! wiped when it is dropped; its verifier, which the target keeps anyway, is freed and not wiped. What is missing is made
//! on the spot, so an empty stock costs time and nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gk_shared::secret::Password;
use rand::Rng as _;
use tokio::sync::Semaphore;

use super::scram;
use crate::provider::error::{Failure, ProviderError};

/// How many wait: a burst takes them at once, and each is a secret in memory.
const STOCK: usize = 8;

/// A password and what the target is given of it.
pub(super) struct Secret {
    pub(super) password: Password,
    pub(super) verifier: String,
}

/// The stock of one target.
pub(super) struct Secrets {
    iterations: u32,
    ready: Mutex<VecDeque<Secret>>,
    /// One at a time refills it.
    refill: Arc<Semaphore>,
}

impl Secrets {
    pub(super) fn new(iterations: u32) -> Arc<Self> {
        Arc::new(Self { iterations, ready: Mutex::default(), refill: Arc::new(Semaphore::new(1)) })
    }

    /// A fresh one, from the stock or made now.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Secret, ProviderError> {
        let waiting = self.ready().pop_front();
        if let Some(secret) = waiting {
            return Ok(secret);
        }
        let this = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || this.make()).await;
        made.map_err(|_| ProviderError::new(Failure::Busy, "the agent is shutting down"))
    }

    /// Fills the stock up beside the reactor, unless that is being done already. Called when no mint waits for the
    /// processor, which is after one and not before.
    pub(super) fn refill(self: &Arc<Self>) {
        let Ok(alone) = Arc::clone(&self.refill).try_acquire_owned() else { return };
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _alone = alone;
            while this.ready().len() < STOCK {
                let secret = this.make();
                this.ready().push_back(secret);
            }
        });
    }

    fn make(&self) -> Secret {
        let mut rng = rand::rng();
        let password = Password::generate(&mut |bytes| rng.fill_bytes(bytes));
        let mut salt = [0_u8; 16];
        rng.fill_bytes(&mut salt);
        let verifier = scram::verifier(&password, salt, self.iterations);
        Secret { password, verifier }
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<Secret>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Secrets({} ready)", self.ready().len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn no_password_is_handed_out_twice_whether_it_was_made_ahead_or_not() {
        let secrets = Secrets::new(2);
        let mut seen = BTreeSet::new();
        for round in 0..3 * STOCK {
            let secret = secrets.take().await.expect("made");
            assert!(secret.verifier.starts_with("SCRAM-SHA-256$2:"));
            assert!(seen.insert(secret.password.expose().to_owned()), "round {round}");
            assert!(seen.insert(secret.verifier), "round {round}");
            secrets.refill();
        }
        assert!(format!("{secrets:?}").ends_with("ready)"), "a stock shows how many and nothing of them");
    }

    #[tokio::test]
    async fn the_stock_is_filled_to_its_bound_and_not_beyond() {
        let secrets = Secrets::new(1);
        secrets.refill();
        secrets.refill();
        // Whoever gets the permit finds the refill done.
        drop(secrets.refill.acquire().await.expect("not closed"));
        assert_eq!(secrets.ready().len(), STOCK);
    }
}
