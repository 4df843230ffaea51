//! How often whom: a bucket for each actor and kind of call, and one for each address that guesses tokens.
//!
//! Always holds: ends have a bucket of their own, so nothing an actor does keeps them from ending a session. The
//! address is the peer's own; no header is believed.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use gk_shared::problem::ErrorCode;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use uuid::Uuid;

use super::problem::ApiError;
use crate::config::Limits;
use crate::store::Lane;

/// The kinds of calls that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// What people and scripts ask.
    Requests,
    /// What ends a session.
    Ends,
    /// What agents ask and report.
    Agents,
}

impl Bucket {
    /// The connections to the ledger that such calls use from the door on.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self {
            Self::Requests => Lane::Normal,
            Self::Ends | Self::Agents => Lane::Ending,
        }
    }
}

/// All buckets of this process.
#[derive(Debug)]
pub struct Rates {
    requests: DefaultKeyedRateLimiter<Uuid>,
    ends: DefaultKeyedRateLimiter<Uuid>,
    agents: DefaultKeyedRateLimiter<Uuid>,
    refusals: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Rates {
    /// Full buckets of these sizes.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let quota = |rate: u32, burst: u32| Quota::per_second(at_least_one(rate)).allow_burst(at_least_one(burst));
        Self {
            requests: RateLimiter::keyed(quota(limits.requests_per_second, limits.burst)),
            ends: RateLimiter::keyed(quota(limits.ends_per_second, limits.ends_burst)),
            agents: RateLimiter::keyed(quota(limits.agent_requests_per_second, limits.agent_burst)),
            refusals: RateLimiter::keyed(Quota::per_minute(at_least_one(limits.refusals_per_minute))),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a call of `who`.
    ///
    /// # Errors
    /// The bucket is empty; the answer says when it is not.
    pub fn take(&self, bucket: Bucket, who: Uuid) -> Result<(), ApiError> {
        let limiter = match bucket {
            Bucket::Requests => &self.requests,
            Bucket::Ends => &self.ends,
            Bucket::Agents => &self.agents,
        };
        limiter.check_key(&who).map_err(|not_until| too_many(not_until.wait_time_from(self.clock.now())))
    }

    /// Counts a token that does not work.
    ///
    /// # Errors
    /// This address has sent too many of them.
    pub fn refuse(&self, from: IpAddr) -> Result<(), ApiError> {
        self.refusals.check_key(&from).map_err(|not_until| too_many(not_until.wait_time_from(self.clock.now())))
    }

    /// Forgets those whose buckets are full again.
    pub fn forget(&self) {
        self.requests.retain_recent();
        self.ends.retain_recent();
        self.agents.retain_recent();
        self.refusals.retain_recent();
    }
}

fn at_least_one(rate: u32) -> NonZeroU32 {
    NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN)
}

fn too_many(wait: Duration) -> ApiError {
    let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    ApiError::new(ErrorCode::RateLimited, format!("too many requests; come back in {} s", secs.max(1)))
        .retry_after(secs.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bucket_refuses_its_owner_alone_and_says_until_when() {
        let rates = Rates::new(&Limits { requests_per_second: 1, burst: 2, ..Limits::default() });
        let (dana, eve) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(rates.take(Bucket::Requests, dana).is_ok() && rates.take(Bucket::Requests, dana).is_ok());
        let refused = rates.take(Bucket::Requests, dana).unwrap_err();
        assert_eq!((refused.code(), refused.detail()), ("rate_limited", "too many requests; come back in 1 s"));
        assert!(rates.take(Bucket::Requests, eve).is_ok());
        assert!(rates.take(Bucket::Ends, dana).is_ok(), "ends are never starved");
    }
}
