//! Tokens that have worked here before, and the line in which all others wait to be looked up.
//!
//! Always holds: nothing is allowed because of what is remembered here; the ledger is asked at every request all the
//! same. It decides only who waits for whom: whoever floods this process with tokens that never worked waits for
//! themselves, since one address has one look-up under way and all of them together have few. Nobody is turned away
//! for what others at their address do, and no end waits behind such a flood that is asked for with a token seen here
//! within the hour; one that is new here has its turn among the addresses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gk_shared::secret::TokenHash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use uuid::Uuid;

use crate::store::Lane;

/// Tokens remembered at most; one more works all the same, and waits in line.
const MOST: usize = 50_000;
/// After so long without use a token is a stranger again.
const MEMORY: Duration = Duration::from_secs(3600);
/// Look-ups of strangers at once in a lane: never all of its connections.
const AT_ONCE_NORMAL: usize = 2;
const AT_ONCE_ENDING: usize = 1;

#[derive(Debug)]
struct Seen {
    actor: Uuid,
    last: Instant,
}

/// One place in line for each address, one line for each lane.
#[derive(Debug)]
struct Line {
    addresses: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
    all: Semaphore,
}

/// What one process remembers of the tokens that it has seen.
#[derive(Debug)]
pub struct Familiar {
    seen: Mutex<HashMap<[u8; 32], Seen>>,
    normal: Line,
    ending: Line,
}

/// A stranger's turn to be looked up; over when it is dropped.
#[must_use = "dropped, the turn is over"]
#[derive(Debug)]
pub struct Turn<'f> {
    _of_address: OwnedSemaphorePermit,
    _of_all: SemaphorePermit<'f>,
}

impl Default for Familiar {
    fn default() -> Self {
        Self { seen: Mutex::default(), normal: Line::new(AT_ONCE_NORMAL), ending: Line::new(AT_ONCE_ENDING) }
    }
}

impl Familiar {
    /// Whose token this was when it last worked here.
    #[must_use]
    pub fn actor(&self, token: &TokenHash) -> Option<Uuid> {
        let mut seen = locked(&self.seen);
        let known = seen.get_mut(token.as_bytes())?;
        known.last = Instant::now();
        Some(known.actor)
    }

    /// Remembers that it works.
    pub fn remember(&self, token: &TokenHash, actor: Uuid) {
        let mut seen = locked(&self.seen);
        if seen.len() < MOST || seen.contains_key(token.as_bytes()) {
            seen.insert(*token.as_bytes(), Seen { actor, last: Instant::now() });
        }
    }

    /// Remembers that it does not work any more.
    pub fn forget(&self, token: &TokenHash) {
        locked(&self.seen).remove(token.as_bytes());
    }

    /// Waits until a token that is not known may be looked up.
    pub async fn turn(&self, lane: Lane, from: IpAddr) -> Turn<'_> {
        let line = match lane {
            Lane::Normal => &self.normal,
            Lane::Ending => &self.ending,
        };
        line.turn(from).await
    }

    /// Forgets tokens that were not used for long, and addresses that have left.
    pub fn forget_idle(&self) {
        locked(&self.seen).retain(|_, seen| seen.last.elapsed() < MEMORY);
        for line in [&self.normal, &self.ending] {
            locked(&line.addresses).retain(|_, place| Arc::strong_count(place) > 1);
        }
    }
}

impl Line {
    fn new(at_once: usize) -> Self {
        Self { addresses: Mutex::default(), all: Semaphore::new(at_once) }
    }

    async fn turn(&self, from: IpAddr) -> Turn<'_> {
        let place = {
            let mut addresses = locked(&self.addresses);
            Arc::clone(addresses.entry(from).or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        // The place of the address first: a flood from one stands in the common line once.
        let of_address = place.acquire_owned().await.expect("no line is ever closed");
        let of_all = self.all.acquire().await.expect("no line is ever closed");
        Turn { _of_address: of_address, _of_all: of_all }
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use gk_shared::secret::BearerToken;

    use super::*;

    fn hash(byte: u8) -> TokenHash {
        BearerToken::generate([byte; 32]).hash()
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_known_from_when_it_worked_until_it_does_not_or_is_idle() {
        let familiar = Familiar::default();
        let dana = Uuid::from_u128(1);
        assert_eq!(familiar.actor(&hash(1)), None);
        familiar.remember(&hash(1), dana);
        familiar.remember(&hash(2), dana);
        familiar.forget(&hash(2));
        assert_eq!((familiar.actor(&hash(1)), familiar.actor(&hash(2))), (Some(dana), None));
        tokio::time::advance(MEMORY / 2).await;
        assert_eq!(familiar.actor(&hash(1)), Some(dana), "this is a use");
        tokio::time::advance(MEMORY / 2).await;
        familiar.forget_idle();
        assert_eq!(familiar.actor(&hash(1)), Some(dana));
        tokio::time::advance(MEMORY).await;
        familiar.forget_idle();
        assert_eq!(familiar.actor(&hash(1)), None);
    }

    #[tokio::test]
    async fn a_flood_from_one_address_takes_one_place_and_others_come_next() {
        let familiar = Familiar::default();
        let turn = |last| familiar.turn(Lane::Normal, address(last));
        let flood = turn(1).await;
        assert!(turn(1).now_or_never().is_none(), "one look-up of an address at once");
        let other = turn(2).now_or_never().expect("another address does not wait for it");
        assert!(turn(3).now_or_never().is_none(), "few at once of all");
        let ending = familiar.turn(Lane::Ending, address(1)).now_or_never();
        assert!(ending.is_some(), "ends have a line of their own");
        drop(flood);
        assert!(turn(1).now_or_never().is_some());
        drop((other, ending));
        familiar.forget_idle();
        assert!(locked(&familiar.normal.addresses).is_empty() && locked(&familiar.ending.addresses).is_empty());
    }
}
