//! The audited transaction: a change and its audit event are committed together, or not at all.
//!
//! Always holds, by types: [`AuditedTx`] has no commit. Recording an event turns it into a [`Recorded`], which has one
//! and hands back the connection. Dropped before that, it rolls back. Wake-ups go out after the commit, never before.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use deadpool_postgres::Object;
use futures_util::future::{MaybeDone, join, join3, maybe_done};
use gk_shared::audit::{AuditEvent, leaf_hash};
use gk_shared::ids::SessionId;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
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
    last: Option<Last>,
    events: Vec<AuditEvent>,
    only_if: Option<SessionId>,
    wakes: Vec<Wake>,
}

/// A change that waits for its flight.
struct Last {
    sql: &'static str,
    params: Vec<Param>,
}

/// A parameter that a waiting statement keeps.
pub(super) type Param = Box<dyn ToSql + Send + Sync>;

/// The parameters of a statement that waits.
macro_rules! params {
    ($($value:expr),+ $(,)?) => { vec![$(Box::new($value) as $crate::store::tx::Param),+] };
}
pub(super) use params;

/// A change with at least one event: it may be committed.
#[must_use = "dropped, it rolls back"]
pub struct Recorded(AuditedTx);

impl AuditedTx {
    pub(super) async fn begin(ledger: Ledger, lane: Lane, origin: Origin) -> Result<Self, StoreError> {
        let (mut tx, clock) = Self::open(ledger, lane, origin).await?;
        // Both travel in one flight.
        let (begun, now) = join(tx.client().batch_execute("BEGIN"), tx.client().query_one(&clock, &[])).await;
        begun?;
        tx.at = Reader::new(&now?, "clock").get("now")?;
        Ok(tx)
    }

    /// Begins with a look, in the same flight. A look alone: were there no transaction, nothing would have happened.
    pub(super) async fn begin_with(
        (ledger, lane, origin): (Ledger, Lane, Origin),
        look: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(Self, Vec<Row>), StoreError> {
        let (mut tx, clock) = Self::open(ledger, lane, origin).await?;
        let look = tx.client().prepare_cached(look).await?;
        let client = tx.client();
        let (begun, now, rows) =
            join3(client.batch_execute("BEGIN"), client.query_one(&clock, &[]), client.query(&look, params)).await;
        begun?;
        tx.at = Reader::new(&now?, "clock").get("now")?;
        Ok((tx, rows?))
    }

    /// A connection in hand before the first byte is sent: from here on a drop rolls back.
    async fn open(ledger: Ledger, lane: Lane, origin: Origin) -> Result<(Self, Statement), StoreError> {
        let client = ledger.client(lane).await?;
        let clock = client.prepare_cached("-- tx::begin\nSELECT now() AS now").await?;
        let (at, last, only_if) = (Timestamp::UNIX_EPOCH, None, None);
        Ok((Self { client: Some(client), ledger, origin, at, last, events: vec![], only_if, wakes: vec![] }, clock))
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

    /// The last change, which waits for the commit and travels with it. What it finds is not known before: it is for
    /// rows that this transaction has locked, or goes with [`Recorded::only_if_made`].
    pub(super) fn last(&mut self, sql: &'static str, params: Vec<Param>) {
        debug_assert!(self.last.is_none(), "there is one last change");
        self.last = Some(Last { sql, params });
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
        debug_assert!(self.last.is_none(), "a last change goes with its event");
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

    /// Last change, events and COMMIT in one flight: the rows of the change, and how many events were written.
    async fn fly(&self) -> Result<(Vec<Row>, u64), StoreError> {
        // All that has to be prepared is, before the flight: in it, what is sent first is done first.
        let insert = self.client().prepare_cached(INSERT_EVENTS).await.map_err(StoreError::audit)?;
        let last = match &self.last {
            Some(last) => Some((self.client().prepare_cached(last.sql).await?, borrowed(&last.params))),
            None => None,
        };
        let change = async {
            match &last {
                Some((statement, params)) => self.client().query(statement, params).await,
                None => Ok(Vec::new()),
            }
        };
        let events = EventRows::of(&self.events);
        let only_if = self.only_if.map(|session| session.uuid());
        let params: [&(dyn ToSql + Sync); 5] =
            [&Ledger::tenant().uuid(), &events.ids, &events.canonical, &events.leaves, &only_if];
        let mut change = pin!(maybe_done(change));
        let mut write = pin!(maybe_done(self.client().execute(&insert, &params)));
        send(change.as_mut()).await?;
        send(write.as_mut()).await.map_err(StoreError::audit)?;
        // What the server refuses turns all behind it into failures, and the COMMIT into a ROLLBACK.
        let ((), (), committed) = join3(change.as_mut(), write.as_mut(), self.client().batch_execute("COMMIT")).await;
        let rows = change.take_output().expect("the flight is over")?;
        let written = write.take_output().expect("the flight is over").map_err(StoreError::audit)?;
        committed?;
        Ok((rows, written))
    }

    fn push(&mut self, event: Event) {
        let origin = self.origin.clone();
        self.push_of(event, &origin);
    }

    fn push_of(&mut self, event: Event, origin: &Origin) {
        let id = random::event_id(self.ledger.randomness(), self.at, self.events.len());
        self.events.push(event.at(id, self.at, origin));
    }

    pub(super) fn client(&self) -> &Object {
        self.client.as_ref().expect("the connection is given up only by commit and drop, which consume the transaction")
    }
}

impl Recorded {
    /// Records one thing more.
    pub fn and(mut self, event: Event) -> Self {
        self.0.push(event);
        self
    }

    /// Records what is done in the same breath for somebody else.
    pub(super) fn and_of(mut self, event: Event, origin: &Origin) -> Self {
        self.0.push_of(event, origin);
        self
    }

    /// Writes the events only if this session exists once the last change is made; without it nothing changes at all.
    pub(super) fn only_if_made(mut self, session: SessionId) -> Self {
        self.0.only_if = Some(session);
        self
    }

    /// Makes the last change, writes the events and commits, in one flight; then wakes those who wait.
    ///
    /// # Errors
    /// [`StoreError::AuditUnavailable`] if an event could not be written: then nothing has changed.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.commit_returning().await.map(drop)
    }

    /// Commits, and gives the rows of the last change.
    pub(super) async fn commit_returning(mut self) -> Result<Vec<Row>, StoreError> {
        let (rows, written) = self.0.fly().await?;
        let tx = &mut self.0;
        drop(tx.client.take());
        if written > 0 {
            tx.wakes.push(Wake::Audit);
        }
        tx.wake_all();
        Ok(rows)
    }
}

/// Sends a statement: its first poll does. A failure at that moment is one of ours, such as a parameter that does not
/// fit; the server never heard of it, so nothing behind it may be sent.
async fn send<T, E>(mut flying: Pin<&mut MaybeDone<impl Future<Output = Result<T, E>>>>) -> Result<(), E> {
    poll_fn(|context| Poll::Ready(flying.as_mut().poll(context).is_ready())).await;
    match flying.as_mut().output_mut() {
        Some(Err(_)) => flying.take_output().expect("was seen just now").map(drop),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// The parameters of a waiting statement, to be sent.
pub(super) fn borrowed(params: &[Param]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect()
}

/// The columns of the events that a transaction writes.
struct EventRows {
    ids: Vec<Uuid>,
    canonical: Vec<String>,
    leaves: Vec<Vec<u8>>,
}

impl EventRows {
    fn of(events: &[AuditEvent]) -> Self {
        let canonical: Vec<String> = events.iter().map(AuditEvent::canonical).collect();
        let leaves = canonical.iter().map(|text| leaf_hash(text).0.to_vec()).collect();
        Self { ids: events.iter().map(|event| event.id.uuid()).collect(), canonical, leaves }
    }
}

const INSERT_EVENTS: &str = "-- tx::insert_events
    INSERT INTO audit_events (tenant_id, id, canonical, leaf)
    SELECT $1, e.id, e.canonical, e.leaf FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS e (id, canonical, leaf)
    WHERE $5::uuid IS NULL OR EXISTS (SELECT FROM sessions s WHERE s.id = $5)";

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

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn what_cannot_be_sent_is_told_at_once_and_what_is_under_way_is_not_waited_for() {
        let mut refused = pin!(maybe_done(ready(Err::<(), _>("does not fit"))));
        assert_eq!(send(refused.as_mut()).await, Err("does not fit"));
        let mut under_way = pin!(maybe_done(pending::<Result<(), &str>>()));
        assert_eq!(send(under_way.as_mut()).await, Ok(()));
        let mut answered = pin!(maybe_done(ready(Ok::<_, &str>(7))));
        assert_eq!(send(answered.as_mut()).await, Ok(()));
        assert_eq!(answered.take_output(), Some(Ok(7)));
    }
}
