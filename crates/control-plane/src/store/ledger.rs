//! The connection to the ledger: two pools, so that those who ask for sessions never keep those who end them waiting.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use gk_shared::ids::TenantId;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::jobs::dispatch::Dispatch;
use super::random::{self, FreshId, Randomness};
use super::sessions::Handoff;
use super::{Origin, StoreError, tx::AuditedTx};
use crate::config::LedgerConfig;
use crate::wakeups::Wakeups;

/// The one tenant there is, as the first migration makes it.
const DEFAULT_TENANT: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001);
/// Its name, as audit events carry it.
pub(super) const DEFAULT_TENANT_NAME: &str = "default";
/// How long a request waits for a free connection.
const POOL_WAIT: Duration = Duration::from_secs(5);
/// What every connection is set to: no statement, lock or forgotten transaction holds others up, and what was
/// acknowledged is on disk. Planning a claim costs ten times what running it does, so a plan is made once.
const SETTINGS: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '10s'; SET synchronous_commit = on; SET TimeZone = 'UTC'; \
     SET plan_cache_mode = force_generic_plan";

/// Which connections a piece of work uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Everything that may wait.
    Normal,
    /// Ending sessions and reporting ends: its own small reserve.
    Ending,
}

/// The ledger, as every part of the control plane holds it. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
    /// What single statements use where they do not say.
    lane: Lane,
}

struct Inner {
    pool: Pool,
    reserve: Pool,
    wakeups: Wakeups,
    handoff: Handoff,
    dispatch: Dispatch,
    randomness: Arc<dyn Randomness>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pool, reserve) = (self.inner.pool.status(), self.inner.reserve.status());
        write!(out, "Ledger({} + {} connections)", pool.size, reserve.size)
    }
}

/// How busy the connections are, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that are open.
    pub open: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// Requests that wait for one.
    pub waiting: usize,
}

impl Ledger {
    /// Prepares the pools; nothing is connected before the first use.
    ///
    /// # Errors
    /// The pool cannot be built from these settings.
    pub fn new(config: &LedgerConfig, randomness: Arc<dyn Randomness>, wakeups: Wakeups) -> Result<Self, StoreError> {
        let reserve = (config.pool_size() / 4).max(2);
        let normal = config.pool_size().saturating_sub(reserve).max(2);
        let (pool, reserve) = (pool(config, normal)?, pool(config, reserve)?);
        let (handoff, dispatch) = (Handoff::default(), Dispatch::default());
        let inner = Inner { pool, reserve, wakeups, handoff, dispatch, randomness };
        Ok(Self { inner: Arc::new(inner), lane: Lane::Normal })
    }

    /// The same ledger over the connections of this lane.
    #[must_use]
    pub fn in_lane(&self, lane: Lane) -> Self {
        Self { inner: Arc::clone(&self.inner), lane }
    }

    /// The connections that this one uses where nothing else is said.
    pub(super) const fn lane(&self) -> Lane {
        self.lane
    }

    /// The switchboard of this process.
    #[must_use]
    pub fn wakeups(&self) -> &Wakeups {
        &self.inner.wakeups
    }

    /// Those in this process who wait for a session that they asked for.
    #[must_use]
    pub(super) fn handoff(&self) -> &Handoff {
        &self.inner.handoff
    }

    /// Those in this process who wait for sessions to make.
    #[must_use]
    pub(super) fn dispatch(&self) -> &Dispatch {
        &self.inner.dispatch
    }

    /// How many claims wait in this process for a session to make.
    #[must_use]
    pub fn claims_waiting(&self) -> usize {
        self.inner.dispatch.waiting()
    }

    /// A fresh id of a moment of the ledger's clock, such as [`super::tokens::Caller::now`].
    #[must_use]
    pub fn fresh_id<Id: FreshId>(&self, at: Timestamp) -> Id {
        random::fresh(self.randomness(), at)
    }

    /// Unpredictable bytes, for a token or an idempotency key that the control plane makes.
    #[must_use]
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.randomness().fill(&mut bytes);
        bytes
    }

    /// About this long, so that many who failed together do not come back together.
    #[must_use]
    pub fn jittered(&self, pause: Duration) -> Duration {
        random::jittered(self.randomness(), pause)
    }

    /// How busy the connections of a lane are.
    #[must_use]
    pub fn pool_use(&self, lane: Lane) -> PoolUse {
        let status = self.pool(lane).status();
        PoolUse { open: status.size, idle: status.available, waiting: status.waiting }
    }

    /// The ledger's clock.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        let row = self.one("-- ledger::now\nSELECT clock_timestamp() AS now", &[]).await?;
        super::row::Reader::new(&row, "clock").get("now")
    }

    pub(super) fn randomness(&self) -> &dyn Randomness {
        self.inner.randomness.as_ref()
    }

    pub(super) const fn tenant() -> TenantId {
        TenantId::from_uuid(DEFAULT_TENANT)
    }

    pub(super) async fn client(&self, lane: Lane) -> Result<Object, StoreError> {
        Ok(self.pool(lane).get().await?)
    }

    /// Begins a change. It can be committed only together with an audit event.
    pub(super) async fn begin(&self, lane: Lane, origin: Origin) -> Result<AuditedTx, StoreError> {
        AuditedTx::begin(self.clone(), lane, origin).await
    }

    /// Begins a change with a look at what it is about, in one flight.
    pub(super) async fn begin_with(
        &self,
        (lane, origin): (Lane, Origin),
        look: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(AuditedTx, Vec<Row>), StoreError> {
        AuditedTx::begin_with((self.clone(), lane, origin), look, params).await
    }

    /// Runs one statement by itself.
    pub(super) async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        self.query_in(self.lane, sql, params).await
    }

    /// Runs one statement by itself, over the connections of this lane.
    pub(super) async fn query_in(
        &self,
        lane: Lane,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.client(lane).await?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query(&statement, params).await?)
    }

    /// Runs one statement that gives one row at most.
    pub(super) async fn opt(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs one statement that always gives a row.
    pub(super) async fn one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, StoreError> {
        self.opt(sql, params).await?.ok_or_else(StoreError::no_row)
    }

    fn pool(&self, lane: Lane) -> &Pool {
        match lane {
            Lane::Normal => &self.inner.pool,
            Lane::Ending => &self.inner.reserve,
        }
    }
}

fn pool(config: &LedgerConfig, size: usize) -> Result<Pool, StoreError> {
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let mut pg = config.pg().clone();
    pg.application_name("gk-control-plane");
    Pool::builder(Manager::from_config(pg, config.tls().connector(), manager))
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(POOL_WAIT))
        .create_timeout(Some(POOL_WAIT))
        .recycle_timeout(Some(POOL_WAIT))
        .post_create(Hook::async_fn(|client, _| {
            Box::pin(async move { client.batch_execute(SETTINGS).await.map_err(HookError::Backend) })
        }))
        .build()
        .map_err(|error| StoreError::Unavailable(Box::new(error)))
}
