//! What one process takes from its callers: sizes, times and rates. The defaults suit a server of two cores.

use std::ops::RangeInclusive;
use std::time::Duration;

use gk_edge::accept::Bounds;

use super::keys::{Faults, Keys};

/// Bounds on what callers may do to this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, of all callers.
    pub connections: usize,
    /// Time until a new connection has sent its first byte.
    pub first_byte: Duration,
    /// Time from the first byte of a request to the end of its headers; also how long a connection may idle.
    pub headers: Duration,
    /// Time for one request, waits that the caller asked for not counted.
    pub request: Duration,
    /// Time for a request's body to arrive: what was checked before it (the token above all) must still hold after it.
    pub body: Duration,
    /// Requests a second for each actor.
    pub requests_per_second: u32,
    /// Requests at once for each actor.
    pub burst: u32,
    /// The same for each agent.
    pub agent_requests_per_second: u32,
    /// The same for each agent.
    pub agent_burst: u32,
    /// Ends (revoke) a second for each actor; they have a bucket of their own, so that nothing else starves them.
    pub ends_per_second: u32,
    /// Ends at once for each actor.
    pub ends_burst: u32,
    /// Tokens that do not work, a minute for each address.
    pub refusals_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            first_byte: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            request: Duration::from_secs(15),
            body: Duration::from_secs(5),
            requests_per_second: 50,
            burst: 100,
            agent_requests_per_second: 500,
            agent_burst: 1000,
            ends_per_second: 200,
            ends_burst: 1000,
            refusals_per_minute: 60,
        }
    }
}

const KEYS: &[&str] = &[
    "connections",
    "first_byte",
    "headers",
    "request",
    "body",
    "requests_per_second",
    "burst",
    "agent_requests_per_second",
    "agent_burst",
    "ends_per_second",
    "ends_burst",
    "refusals_per_minute",
];
const RATES: RangeInclusive<i64> = 1..=1_000_000;

impl Limits {
    /// What connections may cost.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        Bounds { connections: self.connections, first_byte: self.first_byte, headers: self.headers }
    }

    pub(crate) fn read(mut keys: Keys, faults: &mut Faults) -> Self {
        let mut limits = Self::default();
        if let Some(count) = keys.number("connections", 16..=1_000_000, faults) {
            limits.connections = usize::try_from(count).expect("the range was checked");
        }
        let seconds = |least, most| Duration::from_millis(least)..=Duration::from_secs(most);
        for (key, range, to) in [
            ("first_byte", seconds(100, 60), &mut limits.first_byte),
            ("headers", seconds(100, 120), &mut limits.headers),
            ("request", seconds(1000, 300), &mut limits.request),
            ("body", seconds(100, 60), &mut limits.body),
        ] {
            *to = keys.time(key, range, faults).unwrap_or(*to);
        }
        for (key, to) in [
            ("requests_per_second", &mut limits.requests_per_second),
            ("burst", &mut limits.burst),
            ("agent_requests_per_second", &mut limits.agent_requests_per_second),
            ("agent_burst", &mut limits.agent_burst),
            ("ends_per_second", &mut limits.ends_per_second),
            ("ends_burst", &mut limits.ends_burst),
            ("refusals_per_minute", &mut limits.refusals_per_minute),
        ] {
            if let Some(rate) = keys.number(key, RATES, faults) {
                *to = u32::try_from(rate).expect("the range was checked");
            }
        }
        keys.finish(KEYS, faults);
        limits
    }
}
