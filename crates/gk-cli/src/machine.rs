//! What `gk` asks of the machine itself: the time, randomness, and that it writes no core dump. The one place that does.

use jiff::Timestamp;
use rand::RngExt as _;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
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

/// Core dumps as they were allowed before [`forbid_core`].
#[derive(Debug, Clone)]
pub(crate) struct CoreLimit(Rlimit);

/// Keeps this process from leaving its memory, with a login in it, on the disk when it crashes.
#[must_use]
pub(crate) fn forbid_core() -> CoreLimit {
    let before = getrlimit(Resource::Core);
    // A limit may always be lowered; where the system has none there is nothing to lower.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: before.maximum });
    gk_edge::harden::keep_others_out();
    CoreLimit(before)
}

/// Gives a child of `gk exec` the limit back that it would have had without us. Elsewhere than on Linux nobody can.
pub(crate) fn allow_core(child: Pid, limit: &CoreLimit) {
    // It fails only where the child has already ended.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::prlimit(Some(child), Resource::Core, limit.0);
    #[cfg(not(target_os = "linux"))]
    let _ = (child, limit);
}
