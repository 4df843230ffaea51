//! What `gk` asks of the machine itself: the time and randomness. The one place that does.

use jiff::Timestamp;
use rand::RngExt as _;
use zeroize::Zeroizing;

/// The time on this machine's clock. Never used to decide when a session ends: that is the target's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where an entry point asks the machine")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Milliseconds since 1970, as ids carry them.
#[must_use]
pub(crate) fn unix_ms() -> u64 {
    u64::try_from(now().as_millisecond()).unwrap_or_default()
}

/// Random bytes, fit for ids and keys.
#[must_use]
pub(crate) fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    rand::rng().fill(bytes.as_mut_slice());
    bytes
}
