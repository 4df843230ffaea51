//! The audited transaction: a change and its audit event are committed together, or not at all.
//!
//! Always holds, by types: [`AuditedTx`] has no commit. Recording an event turns it into a [`Recorded`], which has one
//! and hands back the connection. Dropped before that, it rolls back. Wake-ups go out after the commit, never before.

use deadpool_postgres::Object;
use futures_util::future::join;
use gk_shared::audit::{AuditEvent, leaf_hash};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::event::{Event, Origin};
use super::ledger::{Lane, Ledger};
use super::{StoreError, random, row::Reader};
use crate::wakeups::Wake;

/// A change in the making. It cannot be committed before an event is recorded:
///
/// ```compile_fail
/// # use gk_control_plane::store::{AuditedTx, StoreError};
/// async fn silently(tx: AuditedTx) -> Result<(), StoreError> {
///     tx.commit().await
/// }
/// ```
///
/// ```
/// # use gk_control_plane::store::{AuditedTx, Event, StoreError};
/// async fn with_its_event(tx: AuditedTx, event: Event) -> Result<(), StoreError> {
///     tx.record(event).commit().await
/// }
/// ```
#[must_use = "dropped, it rolls back"]
pub struct AuditedTx {
    client: Option<Object>,
    ledger: Ledger,
    origin: Origin,
    at: Timestamp,
    events: Vec<AuditEvent>,
    wakes: Vec<Wake>,
}

/// A change with at least one event: it may be committed.
#[must_use = "dropped, it rolls back"]
pub struct Recorded(AuditedTx);

impl AuditedTx {
    pub(super) async fn begin(ledger: Ledger, lane: Lane, origin: Origin) -> Result<Self, StoreError> {
        let client = ledger.client(lane).await?;
        let clock = client.prepare_cached("-- tx::begin\nSELECT now() AS now").await?;
        // In hand before the first byte is sent: from here on a drop rolls back.
        let mut tx =
            Self { client: Some(client), ledger, origin, at: Timestamp::UNIX_EPOCH, events: vec![], wakes: vec![] };
        // Both travel in one flight.
        let (begun, now) = join(tx.client().batch_execute("BEGIN"), tx.client().query_one(&clock, &[])).await;
        begun?;
        tx.at = Reader::new(&now?, "clock").get("now")?;
        Ok(tx)
    }

    /// The ledger's time of this transaction.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// A fresh id of this moment.
    pub(super) fn fresh<Id: random::FreshId>(&self) -> Id {
        self.ledger.fresh_id(self.at)
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let statement = self.client().prepare_cached(sql).await?;
        Ok(self.client().query(&statement, params).await?)
    }

    pub(super) async fn opt(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    pub(super) async fn one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, StoreError> {
        self.opt(sql, params).await?.ok_or_else(StoreError::no_row)
    }

    /// Somebody to wake once it is committed.
    pub(super) fn wake(&mut self, wake: Wake) {
        self.wakes.push(wake);
    }

    /// Records what this transaction does.
    pub fn record(mut self, event: Event) -> Recorded {
        self.push(event);
        Recorded(self)
    }

    /// Records all of these; none at all means that nothing may be committed.
    pub fn record_all(mut self, events: Vec<Event>) -> Option<Recorded> {
        if events.is_empty() {
            return None;
        }
        events.into_iter().for_each(|event| self.push(event));
        Some(Recorded(self))
    }

    /// Commits an end whose event cannot be written now. For ends alone, which never wait for the log: the session is
    /// marked, and the scan writes the event as soon as it can.
    pub(super) async fn commit_unlogged_end(mut self) -> Result<(), StoreError> {
        self.client().batch_execute("COMMIT").await?;
        drop(self.client.take());
        self.wake_all();
        Ok(())
    }

    fn wake_all(&mut self) {
        std::mem::take(&mut self.wakes).into_iter().for_each(|wake| self.ledger.wakeups().wake(wake));
    }

    /// Gives it up at once, locks and all, where a drop would do so a little later.
    pub(super) async fn rollback(mut self) -> Result<(), StoreError> {
        self.client().batch_execute("ROLLBACK").await?;
        drop(self.client.take());
        Ok(())
    }

    fn push(&mut self, event: Event) {
        let id = random::event_id(self.ledger.randomness(), self.at, self.events.len());
        self.events.push(event.at(id, self.at, &self.origin));
    }

    fn client(&self) -> &Object {
        self.client.as_ref().expect("the connection is given up only by commit and drop, which consume the transaction")
    }
}

impl Recorded {
    /// Records one thing more.
    pub fn and(mut self, event: Event) -> Self {
        self.0.push(event);
        self
    }

    /// Writes the events and commits, in one flight; then wakes those who wait.
    ///
    /// # Errors
    /// [`StoreError::AuditUnavailable`] if an event could not be written: then nothing has changed.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let tx = &mut self.0;
        let canonical: Vec<String> = tx.events.iter().map(AuditEvent::canonical).collect();
        let leaves: Vec<Vec<u8>> = canonical.iter().map(|text| leaf_hash(text).0.to_vec()).collect();
        let ids: Vec<Uuid> = tx.events.iter().map(|event| event.id.uuid()).collect();
        let insert = tx.client().prepare_cached(INSERT_EVENTS).await.map_err(StoreError::audit)?;
        let tenant = Ledger::tenant().uuid();
        let (written, committed) = {
            let params: [&(dyn ToSql + Sync); 4] = [&tenant, &ids, &canonical, &leaves];
            // A failed INSERT turns the COMMIT behind it into a ROLLBACK.
            join(tx.client().execute(&insert, &params), tx.client().batch_execute("COMMIT")).await
        };
        written.map_err(StoreError::audit)?;
        committed?;
        drop(tx.client.take());
        tx.wakes.push(Wake::Audit);
        tx.wake_all();
        Ok(())
    }
}

const INSERT_EVENTS: &str = "-- tx::insert_events
    INSERT INTO audit_events (tenant_id, id, canonical, leaf)
    SELECT $1, e.id, e.canonical, e.leaf FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS e (id, canonical, leaf)";

impl Drop for AuditedTx {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        // The connection must not go back to the pool with a transaction open.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                if client.batch_execute("ROLLBACK").await.is_err() {
                    drop(Object::take(client));
                }
            })),
            Err(_) => drop(Object::take(client)),
        }
    }
}
