//! The servers of one target: which of them is written to, and how each was last seen.
//!
//! Always holds: a target with one server costs nothing here. With several, connections that write are opened only where
//! the server takes writes, and one that does not answer is asked again on its own time, so it never holds up another.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Pool};
use gk_shared::wire::agent::{EndpointHealth, EndpointRole};
use tokio_postgres::types::PgLsn;
use tokio_postgres::{Client, Row};

use super::connect::{self, Purpose};
use super::{one, query};
use crate::config::{Endpoint, TargetConfig};
use crate::provider::error::{Failure, ProviderError};

/// Who says nothing for so long does not answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// The log position before a role is known is of no use, so it is asked in the same breath.
const LOOK: &str = "-- provider::endpoints look\n\
    SELECT pg_is_in_recovery() AS standby, \
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END AS at, \
           CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline";

/// What a server was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Not looked at yet.
    Unknown,
    /// It takes writes. The timeline rises with each promotion.
    Primary { timeline: String, at: PgLsn },
    /// It replays what another writes.
    Standby { at: Option<PgLsn> },
    /// It does not answer.
    Down { since: Instant, why: String },
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    place: Endpoint,
    work: Pool,
    urgent: Pool,
    /// To look and to cut while it is not the one that is written to.
    side: Pool,
    seen: Mutex<Seen>,
    /// A sweep of it is under way.
    sweeping: AtomicBool,
}

impl Server {
    /// Where it is.
    pub(super) fn place(&self) -> &Endpoint {
        &self.place
    }

    /// How it was last seen.
    pub(super) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// A connection to look and to cut.
    pub(super) async fn side(&self) -> Result<Object, ProviderError> {
        Ok(self.side.get().await?)
    }

    /// Looks at it, and keeps what was found.
    pub(super) async fn look(&self) {
        let looked = tokio::time::timeout(LOOK_TIMEOUT, async { look(&*self.side().await?).await }).await;
        let found = looked.unwrap_or_else(|_| Err(ProviderError::new(Failure::Unreachable, "no answer within 3 s")));
        let mut seen = self.lock();
        *seen = match (found, &*seen) {
            (Ok(found), _) => found,
            (Err(error), Seen::Down { since, .. }) => Seen::Down { since: *since, why: error.to_string() },
            (Err(error), Seen::Unknown | Seen::Primary { .. } | Seen::Standby { .. }) => {
                tracing::warn!(server = %self.place, %error, "a server of the target does not answer");
                Seen::Down { since: Instant::now(), why: error.to_string() }
            }
        };
    }

    /// Runs `work` unless the one before still runs.
    pub(super) async fn alone<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        if self.sweeping.swap(true, Ordering::AcqRel) {
            return None;
        }
        let done = work.await;
        self.sweeping.store(false, Ordering::Release);
        Some(done)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look(client: &Client) -> Result<Seen, ProviderError> {
    read(&one(query(client, LOOK, &[]).await?)?)
}

fn read(row: &Row) -> Result<Seen, ProviderError> {
    let at: Option<PgLsn> = row.try_get("at")?;
    if row.try_get("standby")? {
        return Ok(Seen::Standby { at });
    }
    let timeline: Option<String> = row.try_get("timeline")?;
    Ok(Seen::Primary { timeline: timeline.unwrap_or_default(), at: at.unwrap_or_else(|| PgLsn::from(0)) })
}

/// All servers of a target.
#[derive(Debug)]
pub(super) struct Servers {
    all: Vec<Arc<Server>>,
    written: AtomicUsize,
    /// When the last survey of all was over; one at a time.
    surveyed: tokio::sync::Mutex<Option<Instant>>,
}

impl Servers {
    pub(super) fn new(config: &TargetConfig, purpose: Purpose) -> Self {
        let places: Vec<Endpoint> = config.endpoints().collect();
        let several = places.len() > 1;
        let server = |place: Endpoint| {
            let pools = connect::pools(config, &place, (purpose, several));
            let (seen, sweeping) = (Mutex::new(Seen::Unknown), AtomicBool::new(false));
            Arc::new(Server { place, work: pools.work, urgent: pools.urgent, side: pools.side, seen, sweeping })
        };
        let all = places.into_iter().map(server).collect();
        Self { all, written: AtomicUsize::new(0), surveyed: tokio::sync::Mutex::new(None) }
    }

    /// Whether there is more than one.
    pub(super) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// All of them, as they are configured.
    pub(super) fn all(&self) -> &[Arc<Server>] {
        &self.all
    }

    /// The one that is written to.
    pub(super) fn written(&self) -> &Arc<Server> {
        &self.all[self.written.load(Ordering::Acquire)]
    }

    /// The others.
    pub(super) fn others(&self) -> impl Iterator<Item = &Arc<Server>> {
        let written = self.written.load(Ordering::Acquire);
        self.all.iter().enumerate().filter(move |(at, _)| *at != written).map(|(_, server)| server)
    }

    /// Looks at one of them, and decides anew which is written to.
    pub(super) async fn look(&self, server: &Server) {
        server.look().await;
        self.choose();
    }

    /// Looks at all of them, unless somebody has done so since `asked`.
    async fn survey(&self, asked: Instant) {
        let mut surveyed = self.surveyed.lock().await;
        if surveyed.is_some_and(|at| at >= asked) {
            return;
        }
        futures_util::future::join_all(self.all.iter().map(|server| server.look())).await;
        *surveyed = Some(Instant::now());
        drop(surveyed);
        self.choose();
    }

    /// How each of them is; none are named where there is only one.
    pub(super) fn health(&self, now: Instant) -> Vec<EndpointHealth> {
        if !self.are_several() {
            return Vec::new();
        }
        let written = match self.written().seen() {
            Seen::Primary { at, .. } => Some(at),
            Seen::Unknown | Seen::Standby { .. } | Seen::Down { .. } => None,
        };
        let health = |server: &Arc<Server>| EndpointHealth {
            written: Arc::ptr_eq(server, self.written()),
            ..health(server.place(), &server.seen(), (written, now))
        };
        self.all.iter().map(health).collect()
    }

    /// Looks at all of them now.
    pub(super) async fn survey_now(&self) {
        self.survey(Instant::now()).await;
    }

    fn choose(&self) {
        let seen: Vec<Seen> = self.all.iter().map(|server| server.seen()).collect();
        let now = self.written.load(Ordering::Acquire);
        let next = primary_among(&seen, now);
        if next != now {
            self.written.store(next, Ordering::Release);
            tracing::warn!(from = %self.all[now].place, to = %self.all[next].place, "another server is the primary now");
        }
    }
}

fn health(place: &Endpoint, seen: &Seen, (written, now): (Option<PgLsn>, Instant)) -> EndpointHealth {
    let role = match seen {
        Seen::Unknown | Seen::Down { .. } => EndpointRole::Unknown,
        Seen::Primary { .. } => EndpointRole::Primary,
        Seen::Standby { .. } => EndpointRole::Standby,
    };
    let (error, unreachable_seconds) = match seen {
        Seen::Down { since, why } => (Some(why.clone()), Some(now.saturating_duration_since(*since).as_secs())),
        Seen::Unknown | Seen::Primary { .. } | Seen::Standby { .. } => (None, None),
    };
    let behind_bytes = match (seen, written) {
        (Seen::Standby { at: Some(at) }, Some(written)) => Some(u64::from(written).saturating_sub(u64::from(*at))),
        (Seen::Unknown | Seen::Primary { .. } | Seen::Standby { .. } | Seen::Down { .. }, _) => None,
    };
    let (host, port) = (place.host.clone(), place.port);
    EndpointHealth { host, port, role, written: false, behind_bytes, error, unreachable_seconds }
}

/// Which one is written to: of those that take writes the one that was promoted last; none, and it stays as it is.
fn primary_among(seen: &[Seen], now: usize) -> usize {
    let timeline = |at: usize| match &seen[at] {
        Seen::Primary { timeline, .. } => Some(timeline.as_str()),
        Seen::Unknown | Seen::Standby { .. } | Seen::Down { .. } => None,
    };
    let newest = (0..seen.len()).filter_map(timeline).max();
    match newest {
        None => now,
        newest if timeline(now) == newest => now,
        newest => (0..seen.len()).find(|at| timeline(*at) == newest).unwrap_or(now),
    }
}

/// Connections of one purpose to whichever server is written to.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    servers: Arc<Servers>,
    pool: fn(&Server) -> &Pool,
}

impl Lane {
    /// A connection. If the server is gone, or has become a standby, the others are looked at first.
    pub(super) async fn get(&self) -> Result<Object, ProviderError> {
        let asked = Instant::now();
        if self.servers.are_several() && self.servers.written().seen() == Seen::Unknown {
            self.servers.survey(asked).await;
        }
        match self.pool().get().await {
            Err(_) if self.servers.are_several() => {
                self.servers.survey(asked).await;
                Ok(self.pool().get().await?)
            }
            got => Ok(got?),
        }
    }

    fn pool(&self) -> &Pool {
        (self.pool)(self.servers.written())
    }
}

/// The connections of one target.
#[derive(Debug, Clone)]
pub(super) struct Pools {
    /// Its servers.
    pub(super) servers: Arc<Servers>,
    /// For making sessions.
    pub(super) work: Lane,
    /// For ending them and for looking.
    pub(super) urgent: Lane,
}

impl Pools {
    pub(super) fn new(target: &TargetConfig, purpose: Purpose) -> Self {
        let servers = Arc::new(Servers::new(target, purpose));
        let lane = |pool: fn(&Server) -> &Pool| Lane { servers: Arc::clone(&servers), pool };
        let (work, urgent) = (lane(|server| &server.work), lane(|server| &server.urgent));
        Self { servers, work, urgent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(timeline: &str) -> Seen {
        Seen::Primary { timeline: timeline.to_owned(), at: PgLsn::from(1) }
    }
    fn down() -> Seen {
        Seen::Down { since: Instant::now(), why: String::new() }
    }

    #[test]
    fn who_was_promoted_last_is_written_to_and_without_a_primary_nothing_changes() {
        let standby = Seen::Standby { at: None };
        assert_eq!(primary_among(&[primary("00000001"), standby.clone()], 0), 0);
        assert_eq!(primary_among(&[standby.clone(), primary("00000001")], 0), 1);
        assert_eq!(primary_among(&[down(), standby.clone()], 0), 0);
        assert_eq!(primary_among(&[down(), primary("00000002")], 0), 1);
        assert_eq!(primary_among(&[standby, down()], 1), 1);
    }

    #[test]
    fn of_two_that_take_writes_the_old_one_is_left_even_if_it_was_there_first() {
        let seen = [primary("00000001"), primary("0000000A")];
        assert_eq!(primary_among(&seen, 0), 1);
        assert_eq!(primary_among(&seen, 1), 1);
        let alike = [primary("00000001"), primary("00000001")];
        assert_eq!(primary_among(&alike, 1), 1, "two that are alike are no reason to change");
    }
}
