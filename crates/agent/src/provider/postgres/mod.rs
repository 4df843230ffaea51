//! PostgreSQL as a provider: each verb a file, each of them calls of the helpers in schema `gk` and nothing else.

mod connect;
mod doctor;
mod elsewhere;
mod end;
mod endpoints;
mod extend;
mod guard;
mod health;
mod limits;
mod mint;
mod observe;
mod others;
mod probe;
mod retry;
pub mod scram;
mod secrets;
pub(crate) mod sqlstate;
mod stock;
mod sweep;
pub use gk_edge::postgres as tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use futures_util::future::{BoxFuture, join};
use gk_shared::ids::SessionId;
use gk_shared::wire::agent::EndpointHealth;
use jiff::Timestamp;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};
use tokio_util::sync::CancellationToken;

use crate::config::TargetConfig;
use crate::provider::clock::TargetClock;
use crate::provider::error::{Failure, ProviderError};
use crate::provider::{
    DatabaseProvider, Deadline, EndRequest, Ended, ExtendRequest, Health, MintRequest, Minted, Observed, Swept, Work,
};

/// Above the server's own statement_timeout: who answers later than this is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);
/// Taken off a lease: what the claim's answer spent on its way.
const LEASE_MARGIN: Duration = Duration::from_secs(1);
/// How many sessions one sweep takes on.
const SWEEP_LIMIT: i32 = 200;

/// One PostgreSQL database that sessions are made on.
#[derive(Debug)]
pub struct PostgresTarget {
    config: TargetConfig,
    pools: endpoints::Pools,
    clock: TargetClock,
    secrets: Arc<secrets::Secrets>,
}

impl PostgresTarget {
    /// A target; nothing is connected before it is used.
    #[must_use]
    pub fn new(config: TargetConfig) -> Self {
        Self::with(config, connect::Purpose::Helpers)
    }

    /// A target that is only looked at: its server refuses every write of ours.
    pub(crate) fn to_look_at(config: TargetConfig) -> Self {
        Self::with(config, connect::Purpose::Look)
    }

    fn with(config: TargetConfig, purpose: connect::Purpose) -> Self {
        let pools = endpoints::Pools::new(&config, purpose);
        let secrets = secrets::Secrets::new(config.scram_iterations);
        Self { config, pools, clock: TargetClock::default(), secrets }
    }

    /// Where it is and how it is reached.
    #[must_use]
    pub fn config(&self) -> &TargetConfig {
        &self.config
    }

    /// Reads the target's clock.
    async fn read_clock(&self, pool: &endpoints::Lane) -> Result<Timestamp, ProviderError> {
        let client = pool.get().await?;
        let row = one(query(&client, "-- provider::clock\nSELECT gk.clock()", &[]).await?)?;
        let told: Timestamp = row.try_get(0)?;
        self.clock.learn(told, Instant::now());
        Ok(told)
    }
}

impl DatabaseProvider for PostgresTarget {
    fn mint<'a>(&'a self, request: &'a MintRequest) -> Work<'a, Minted> {
        Box::pin(mint::mint(self, request))
    }

    fn end<'a>(&'a self, request: &'a EndRequest) -> Work<'a, Ended> {
        Box::pin(end::end(self, request))
    }

    fn extend<'a>(&'a self, request: &'a ExtendRequest) -> Work<'a, Timestamp> {
        Box::pin(extend::extend(self, request))
    }

    fn sweep(&self) -> Work<'_, Vec<Swept>> {
        Box::pin(sweep::sweep(self, SWEEP_LIMIT))
    }

    fn observe(&self) -> Work<'_, Observed> {
        Box::pin(observe::observe(self))
    }

    fn health(&self) -> Work<'_, Health> {
        Box::pin(health::health(self))
    }

    fn servers(&self) -> Vec<EndpointHealth> {
        self.pools.servers.health(Instant::now())
    }

    fn guard(&self, stop: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(guard::guard(self, stop))
    }

    fn clock(&self) -> &TargetClock {
        &self.clock
    }
}

/// A parameter and its type, so that one round trip does: nothing has to be prepared first.
type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// Runs one statement and gives its rows.
async fn query(client: &Client, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, ProviderError> {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.query_typed(sql, params)).await;
    answer.map_err(|_| late())?.map_err(ProviderError::from)
}

/// A statement that is run often: read by the server once a connection. All that travel together are made ready before the
/// first is sent, for what is sent first is done first.
async fn ready(client: &Object, sql: &str, types: &[Type]) -> Result<Statement, ProviderError> {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.prepare_typed_cached(sql, types)).await;
    Ok(answer.map_err(|_| late())??)
}

/// Runs a statement that was made ready, and gives its rows.
async fn run(
    client: &Object,
    statement: &Statement,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, ProviderError> {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.query(statement, params)).await;
    answer.map_err(|_| late())?.map_err(|error| {
        if !is_outdated(&error) {
            return ProviderError::from(error);
        }
        client.statement_cache.clear();
        ProviderError::new(Failure::Busy, "what was prepared on this connection does not hold any more")
    })
}

/// The helpers were replaced by others that answer with other columns, or somebody threw away what was prepared.
fn is_outdated(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|told| {
        *told.code() == SqlState::INVALID_SQL_STATEMENT_NAME
            || (*told.code() == SqlState::FEATURE_NOT_SUPPORTED && told.routine() == Some("RevalidateCachedQuery"))
    })
}

fn late() -> ProviderError {
    ProviderError::new(Failure::Unreachable, "the target did not answer within 12 s")
}

/// Runs one statement under the caller's correlation id, which the target's activity view then shows. Both are sent at
/// once, so that it costs no round trip.
async fn run_as(
    client: &Object,
    correlation: &str,
    sql: (&str, &[Type]),
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, ProviderError> {
    let (name, statement) = (ready(client, NAME, &[Type::TEXT]).await?, ready(client, sql.0, sql.1).await?);
    let (named, rows) = join(run(client, &name, &[&name_of(correlation)]), run(client, &statement, params)).await;
    let rows = rows?;
    named?;
    Ok(rows)
}

/// Sets what the target's activity view calls a connection.
const NAME: &str = "-- provider::name_session\nSELECT set_config('application_name', $1, false)";

/// What it calls one that works on this request.
fn name_of(correlation: &str) -> String {
    format!("gk-agent {correlation}")
}

/// The one row that a helper gives.
fn one(rows: Vec<Row>) -> Result<Row, ProviderError> {
    rows.into_iter().next().ok_or_else(|| {
        ProviderError::new(Failure::HelpersMissing, "a helper gave no row; are the helpers of another version?")
    })
}

/// The lease's end by the target's clock. What the claim's answer spent on its way is taken off.
fn not_after(now: Timestamp, deadline: &Deadline) -> Result<Timestamp, ProviderError> {
    let left = deadline.left().saturating_sub(LEASE_MARGIN);
    if left.is_zero() {
        return Err(ProviderError::new(Failure::PastLease, "the lease is over"));
    }
    now.checked_add(left).map_err(|error| ProviderError::new(Failure::Refused, error.to_string()))
}

/// Where no pack is named, a refusal is not about one.
fn not_about_packs(error: ProviderError) -> ProviderError {
    match error.failure() {
        Failure::PackRefused => ProviderError::new(Failure::Refused, error.to_string()),
        Failure::Unreachable
        | Failure::Busy
        | Failure::Unproven
        | Failure::Fenced
        | Failure::PastLease
        | Failure::ForeignRole
        | Failure::RoleReplaced
        | Failure::HelpersMissing
        | Failure::OverLimit(_)
        | Failure::Refused => error,
    }
}

/// A session id out of the target's books; none of ours is what somebody else put there.
fn session_in(row: &Row, column: &str) -> Result<Option<SessionId>, ProviderError> {
    let text: Option<String> = row.try_get(column)?;
    Ok(text.and_then(|text| text.parse().ok()))
}
