//! What the machine gives us and nothing else may ask for: its clock and its source of randomness.
//!
//! Both serve request ids and the check at start that the clock is plausible; what matters goes by the clocks of ledger
//! and target, and by the ledger's own source of randomness.

use gk_shared::ids::RequestId;
use jiff::Timestamp;

/// The clock and the randomness that were passed in.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    now: fn() -> Timestamp,
    fill: fn(&mut [u8]),
}

impl Machine {
    /// The machine this process runs on.
    #[must_use]
    pub const fn system() -> Self {
        Self { now: system_now, fill: system_fill }
    }

    /// The time by this machine.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Fresh random bytes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.fill)(&mut bytes);
        bytes
    }

    /// Milliseconds since 1970, for ids; a clock before that counts as 1970.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        u64::try_from(self.now().as_millisecond()).unwrap_or(0)
    }

    /// A new request id.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        RequestId::from_parts(self.unix_ms(), self.random())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place of the control plane that reads the machine's clock")]
pub(crate) fn system_now() -> Timestamp {
    Timestamp::now()
}

fn system_fill(bytes: &mut [u8]) {
    rand::fill(bytes);
}
