//! Passwords made ahead of need: thousands of hash rounds are done while nobody waits for them.
//!
//! Always holds: a password is handed out once and never comes back, and at most a few wait in memory, none of them for
//! longer than [`LIFE`]. The password is wiped when it is dropped; its verifier, which the target keeps anyway, is freed
//! and not wiped. What is missing is made on the spot, so an empty stock costs time and nothing else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gk_shared::secret::Password;
use rand::Rng as _;
use tokio::sync::Notify;

use super::scram;
use crate::provider::error::{Failure, ProviderError};

/// How many wait: a burst takes them at once, and each is a secret in memory.
pub(super) const STOCK: usize = 8;
/// How long one waits: less than a target keeps the role that was made for it.
const LIFE: Duration = Duration::from_secs(50 * 60);
/// How often it is looked whether some are too old.
const LOOK: Duration = Duration::from_secs(60);
/// With more mints than this under way the processors have better things to do than to work ahead.
const QUIET: usize = 1;

/// A password and what the target is given of it.
pub(super) struct Secret {
    pub(super) password: Password,
    pub(super) verifier: String,
}

/// The stock of one target.
pub(super) struct Secrets {
    iterations: u32,
    ready: Mutex<VecDeque<(Instant, Secret)>>,
    minting: AtomicUsize,
    /// One was taken, or a mint has ended.
    changed: Notify,
}

/// A mint that is under way; over when it is dropped.
pub(super) struct UnderWay<'a>(&'a Secrets);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.minting.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

impl Secrets {
    pub(super) fn new(iterations: u32) -> Arc<Self> {
        let (ready, minting, changed) = (Mutex::default(), AtomicUsize::new(0), Notify::new());
        Arc::new(Self { iterations, ready, minting, changed })
    }

    /// Says that a mint begins.
    pub(super) fn under_way(&self) -> UnderWay<'_> {
        self.minting.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// A fresh one, from the stock or made now.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Secret, ProviderError> {
        let waiting = self.ready().pop_front();
        match waiting {
            Some((_, secret)) => {
                self.changed.notify_one();
                Ok(secret)
            }
            None => self.made().await,
        }
    }

    /// A new one, made beside the reactor.
    pub(super) async fn made(self: &Arc<Self>) -> Result<Secret, ProviderError> {
        let this = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || this.make()).await;
        made.map_err(|_| ProviderError::new(Failure::Busy, "the agent is shutting down"))
    }

    /// Puts one into stock.
    pub(super) fn add(&self, secret: Secret) {
        self.ready().push_back((Instant::now(), secret));
    }

    /// Drops all that wait.
    pub(super) fn clear(&self) {
        self.ready().clear();
    }

    /// Waits until one more is wanted and nobody waits for the processors.
    pub(super) async fn wanted(&self) {
        loop {
            self.ready().retain(|(made, _)| made.elapsed() < LIFE);
            let lacking = self.ready().len() < STOCK;
            if lacking && self.minting.load(Ordering::Relaxed) <= QUIET {
                return;
            }
            // Either way it is looked again.
            let _ = tokio::time::timeout(LOOK, self.changed.notified()).await;
        }
    }

    fn make(&self) -> Secret {
        let mut rng = rand::rng();
        let password = Password::generate(&mut |bytes| rng.fill_bytes(bytes));
        let mut salt = [0_u8; 16];
        rng.fill_bytes(&mut salt);
        let verifier = scram::verifier(&password, salt, self.iterations);
        Secret { password, verifier }
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<(Instant, Secret)>> {
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

    async fn is_wanted(secrets: &Secrets) -> bool {
        tokio::time::timeout(Duration::from_millis(20), secrets.wanted()).await.is_ok()
    }

    #[tokio::test]
    async fn no_password_is_handed_out_twice_whether_it_was_made_ahead_or_not() {
        let secrets = Secrets::new(2);
        let mut seen = BTreeSet::new();
        for round in 0..3 * STOCK {
            if round % 2 == 0 {
                secrets.add(secrets.made().await.expect("made"));
            }
            let secret = secrets.take().await.expect("made");
            assert!(secret.verifier.starts_with("SCRAM-SHA-256$2:"));
            assert!(seen.insert(secret.password.expose().to_owned()), "round {round}");
            assert!(seen.insert(secret.verifier), "round {round}");
        }
        assert!(format!("{secrets:?}").ends_with("ready)"), "a stock shows how many and nothing of them");
    }

    #[tokio::test]
    async fn one_more_is_wanted_until_the_stock_is_full() {
        let secrets = Secrets::new(1);
        for _ in 0..STOCK {
            assert!(is_wanted(&secrets).await);
            secrets.add(secrets.made().await.expect("made"));
        }
        assert!(!is_wanted(&secrets).await);
        drop(secrets.take().await);
        assert!(is_wanted(&secrets).await);
        secrets.clear();
        assert_eq!(secrets.ready().len(), 0);
    }

    #[tokio::test]
    async fn none_is_wanted_while_several_mints_are_under_way() {
        let secrets = Secrets::new(1);
        let first = secrets.under_way();
        assert!(is_wanted(&secrets).await);
        let second = secrets.under_way();
        assert!(!is_wanted(&secrets).await);
        drop(first);
        assert!(is_wanted(&secrets).await);
        drop(second);
    }
}
