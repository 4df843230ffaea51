//! Randomness, passed in: ids, lease tokens and jitter are made from what a [`Randomness`] gives.

use std::fmt::Debug;
use std::time::Duration;

use gk_shared::ids::{ActorId, AgentId, EventId, JobId, SessionId, TargetId, TokenId};
use jiff::Timestamp;

/// A source of unpredictable bytes.
pub trait Randomness: Debug + Send + Sync + 'static {
    /// Overwrites `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's source, by way of a generator that is cryptographically secure.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        use rand::Rng as _;
        rand::rng().fill_bytes(bytes);
    }
}

/// An id kind that is made here.
pub trait FreshId {
    /// The id of this moment and these random bytes.
    fn of(unix_ms: u64, random: [u8; 10]) -> Self;
}

macro_rules! fresh_ids {
    ($($id:ident),+) => {$(
        impl FreshId for $id {
            fn of(unix_ms: u64, random: [u8; 10]) -> Self {
                Self::from_parts(unix_ms, random)
            }
        }
    )+};
}
fresh_ids!(ActorId, AgentId, EventId, JobId, SessionId, TargetId, TokenId);

/// A fresh id of the moment `at`, which is the ledger's.
pub(super) fn fresh<Id: FreshId>(randomness: &dyn Randomness, at: Timestamp) -> Id {
    let mut bytes = [0; 10];
    randomness.fill(&mut bytes);
    Id::of(unix_ms(at), bytes)
}

/// The id of the `index`-th event of a transaction: ids of one transaction sort in the order of its events.
pub(super) fn event_id(randomness: &dyn Randomness, at: Timestamp, index: usize) -> EventId {
    let mut bytes = [0; 10];
    randomness.fill(&mut bytes);
    // The version takes the top four bits of these two bytes, which leaves 4096 places.
    let place = u16::try_from(index).unwrap_or(u16::MAX) & 0x0FFF;
    bytes[..2].copy_from_slice(&place.to_be_bytes());
    EventId::from_parts(unix_ms(at), bytes)
}

/// A token that fences a lease: 128 random bits, hex.
pub(super) fn lease_token(randomness: &dyn Randomness) -> String {
    let mut bytes = [0; 16];
    randomness.fill(&mut bytes);
    gk_shared::seal::hex(&bytes)
}

/// Between three quarters of `pause` and five quarters, so that many who failed together do not come back together.
pub(super) fn jittered(randomness: &dyn Randomness, pause: Duration) -> Duration {
    let mut byte = [0];
    randomness.fill(&mut byte);
    pause.mul_f64(0.75 + f64::from(byte[0]) / 512.0)
}

fn unix_ms(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Always(u8);
    impl Randomness for Always {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn events_of_one_transaction_sort_in_their_order() {
        let ids: Vec<EventId> = (0..300).map(|n| event_id(&SystemRandomness, Timestamp::UNIX_EPOCH, n)).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        let pause = Duration::from_secs(4);
        assert_eq!(jittered(&Always(0), pause), Duration::from_secs(3));
        assert!(jittered(&Always(255), pause) < Duration::from_secs(5));
    }

    #[test]
    fn lease_tokens_are_128_bits_of_hex() {
        assert_eq!(lease_token(&Always(0xAB)), "ab".repeat(16));
    }
}
