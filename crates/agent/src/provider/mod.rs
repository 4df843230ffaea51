//! What the worker asks of a database: the trait behind which PostgreSQL stands, and others later.
//!
//! Always holds: every call that changes a target carries the session's generation, so that the target itself can
//! refuse a late one; and every call may be repeated, because the answer to the first may have been lost.

pub mod clock;
pub mod error;
pub mod postgres;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use gk_shared::ids::SessionId;
use gk_shared::names::{PackName, RoleName};
use gk_shared::secret::SecretDsn;
use gk_shared::wire::agent::{EndpointHealth, ObservedRole, TargetPack};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use error::{Failure, Limit, ProviderError};

/// What a provider's call gives.
pub type Work<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

/// One database that sessions are made on.
pub trait DatabaseProvider: Send + Sync {
    /// Makes the session's login, or gives the one that is there a new secret.
    fn mint<'a>(&'a self, request: &'a MintRequest) -> Work<'a, Minted>;
    /// Cuts the session off and removes its login; says so only with proof.
    fn end<'a>(&'a self, request: &'a EndRequest) -> Work<'a, Ended>;
    /// Moves the session's end.
    fn extend<'a>(&'a self, request: &'a ExtendRequest) -> Work<'a, Timestamp>;
    /// Ends what is over by the target's own clock, with nobody to ask.
    fn sweep(&self) -> Work<'_, Vec<Swept>>;
    /// Everything of ours on the target.
    fn observe(&self) -> Work<'_, Observed>;
    /// What an operator should know of the target.
    fn health(&self) -> Work<'_, Health>;
    /// Its servers as they were last seen; none are named where there is only one.
    fn servers(&self) -> Vec<EndpointHealth> {
        Vec::new()
    }
    /// Keeps up whatever goes on ending sessions when this process has died; returns when `stop` is cancelled.
    fn guard(&self, stop: CancellationToken) -> BoxFuture<'_, ()>;
    /// The target's clock as it was last seen, carried on by our own monotonic one.
    fn clock(&self) -> &clock::TargetClock;
}

/// Until when a caller holds its job; an act on a target must not come into force later.
///
/// Clones share one end: who renews the lease moves it for whoever works on the job.
#[derive(Debug, Clone)]
pub struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    /// `lease` from now.
    #[must_use]
    pub fn after(lease: Duration) -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + lease)))
    }

    /// The lease was renewed: `lease` from now.
    pub fn renew(&self, lease: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + lease;
    }

    /// How long is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        let end = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        end.saturating_duration_since(Instant::now())
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn over(&self) -> bool {
        self.left().is_zero()
    }
}

/// What every act on a session carries.
#[derive(Debug, Clone)]
pub struct Act {
    /// The session.
    pub session: SessionId,
    /// Its generation: the target refuses a lower one than it has seen.
    pub generation: i64,
    /// Until when the caller may act.
    pub deadline: Deadline,
    /// Correlation id of the request behind it; shown in the target's activity view.
    pub correlation: String,
}

/// A login to make.
#[derive(Debug, Clone)]
pub struct MintRequest {
    /// For which session.
    pub act: Act,
    /// The role pack.
    pub pack: PackName,
    /// Its version.
    pub pack_version: String,
    /// The digest that the target's registered pack must have.
    pub pack_digest: String,
    /// Who asked, for the target's own books.
    pub subject: String,
    /// How long it lives from the moment of the mint, by the target's clock.
    pub ttl: Duration,
    /// Connections at once; what the pack says if `None`.
    pub max_connections: Option<u16>,
}

/// A login that was made.
#[derive(Debug)]
pub struct Minted {
    /// The role.
    pub role: RoleName,
    /// Its end, by the target's clock.
    pub valid_until: Timestamp,
    /// How to log in. The target itself never learns the password in it.
    pub dsn: SecretDsn,
}

/// A session to end.
#[derive(Debug, Clone)]
pub struct EndRequest {
    /// Which one.
    pub act: Act,
}

/// How a session's end went. Either way it is cut: no login, and no connection seen twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The login is gone too.
    Dropped,
    /// The login is harmless, but something keeps it from being dropped: what, and how to mend it.
    Blocked(String),
}

/// A session whose end is to be moved.
#[derive(Debug, Clone)]
pub struct ExtendRequest {
    /// Which one.
    pub act: Act,
    /// How long from now, by the target's clock.
    pub ttl: Duration,
}

/// What a sweep did to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// The session.
    pub session: SessionId,
    /// What was done.
    pub outcome: SweepOutcome,
    /// More about it.
    pub detail: String,
}

/// What a sweep can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepOutcome {
    /// Its login was taken away.
    Disarmed,
    /// Connections of it were ended.
    Killed,
    /// It is gone.
    Dropped,
    /// It was tried, and something is in the way.
    Blocked,
}

impl SweepOutcome {
    /// Whether another sweep shortly after has more to do.
    #[must_use]
    pub fn goes_on(self) -> bool {
        match self {
            Self::Disarmed | Self::Killed => true,
            Self::Dropped | Self::Blocked => false,
        }
    }
}

/// Everything of ours on one target at one moment.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The target's clock.
    pub at: Timestamp,
    /// How far that clock moved against ours since the last look.
    pub clock_jump: jiff::SignedDuration,
    /// The roles.
    pub roles: Vec<ObservedRole>,
    /// The target has one server: what is gone there is gone. With more, only an end that looked at all of them says so.
    pub alone: bool,
}

/// A target as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Server version, such as `16.4`.
    pub server_version: String,
    /// Version of the helpers there.
    pub helpers_version: String,
    /// Role packs registered there.
    pub packs: Vec<TargetPack>,
    /// Its clock.
    pub at: Timestamp,
}
