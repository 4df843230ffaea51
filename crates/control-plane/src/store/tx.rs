//! The audited transaction: a change and its audit event are committed together, or not at all.
//!
//! Always holds, by types: [`AuditedTx`] has no commit. Recording an event turns it into a [`Recorded`], which has one
//! and hands back the connection. Dropped before that, it rolls back. Wake-ups go out after the commit, never before.

use deadpool_postgres::Object;
use futures_util::future::join;
use gk_shared::audit::{AuditAction, AuditEvent, Outcome, leaf_hash};
use gk_shared::ids::RequestId;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::ledger::{DEFAULT_TENANT_NAME, Lane, Ledger};
use super::{StoreError, random, row::Reader};
use crate::wakeups::Wake;

/// Who does something, and on which request: what every event of a transaction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    actor: String,
    request: String,
}

impl Origin {
    /// A person or a service.
    #[must_use]
    pub fn actor(name: &str, request: RequestId) -> Self {
        Self { actor: name.to_owned(), request: request.to_string() }
    }
    /// An agent, on a call of its own.
    #[must_use]
    pub fn agent(name: &str, request: RequestId) -> Self {
        Self { actor: format!("agent:{name}"), request: request.to_string() }
    }
    /// The control plane itself: clocks and scans.
    #[must_use]
    pub fn system() -> Self {
        Self { actor: "system".to_owned(), request: String::new() }
    }
    /// Somebody who could not show who they are.
    #[must_use]
    pub fn nobody(request: RequestId) -> Self {
        Self { actor: "anonymous".to_owned(), request: request.to_string() }
    }
    /// The same actor, on behalf of the request that caused the work at hand.
    #[must_use]
    pub fn because_of(mut self, correlation_id: &str) -> Self {
        correlation_id.clone_into(&mut self.request);
        self
    }
    /// Correlation id of the request; empty for the control plane's own acts.
    #[must_use]
    pub fn request(&self) -> &str {
        &self.request
    }
    /// Whether nobody asked for it.
    pub(super) fn is_system(&self) -> bool {
        self.request.is_empty()
    }
    /// The name that the log has for the actor.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.actor
    }
}

/// Something that happened, before it has a time and a place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    action: AuditAction,
    object: String,
    outcome: Outcome,
    request: Option<String>,
    facts: Vec<(String, String)>,
}

impl Event {
    /// Something that was done to `object`, mostly a session's id.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "ids, numbers and texts read better here without `&`")]
    pub fn new(action: AuditAction, object: impl ToString) -> Self {
        let object = clean(&object.to_string());
        Self { action, object, outcome: Outcome::Ok, request: None, facts: Vec::new() }
    }
    /// It was refused.
    #[must_use]
    pub fn denied(mut self) -> Self {
        self.outcome = Outcome::Denied;
        self
    }
    /// It was tried and failed.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.outcome = Outcome::Failed;
        self
    }
    /// Correlation id of the request that it belongs to, where that is not the transaction's.
    #[must_use]
    pub fn because_of(mut self, correlation_id: &str) -> Self {
        self.request = Some(clean(correlation_id));
        self
    }
    /// One more fact.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "ids, numbers and texts read better here without `&`")]
    pub fn fact(mut self, name: &str, value: impl ToString) -> Self {
        self.facts.push((name.to_owned(), clean(&value.to_string())));
        self
    }
    /// One more fact, where there is one.
    #[must_use]
    pub fn fact_opt(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.fact(name, value),
            None => self,
        }
    }

    fn at(mut self, id: gk_shared::ids::EventId, at: Timestamp, origin: &Origin) -> AuditEvent {
        self.facts.sort();
        AuditEvent {
            v: 1,
            id,
            tenant: DEFAULT_TENANT_NAME.to_owned(),
            at: format!("{at:.6}"),
            actor: clean(&origin.actor),
            action: self.action,
            object: self.object,
            outcome: self.outcome,
            request: self.request.unwrap_or_else(|| origin.request.clone()),
            facts: self.facts,
        }
    }
}

/// Texts of others (errors, reasons) may not steer a terminal that shows the log, nor break what reads its JSON.
fn clean(text: &str) -> String {
    const LONGEST: usize = 2000;
    text.chars().take(LONGEST).map(|found| if found.is_control() { '\u{FFFD}' } else { found }).collect()
}

/// A change in the making. It cannot be committed before an event is recorded.
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
        let mut tx = Self { client: Some(client), ledger, origin, at: Timestamp::UNIX_EPOCH, events: vec![], wakes: vec![] };
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
        let wakes = std::mem::take(&mut tx.wakes);
        wakes.into_iter().chain([Wake::Audit]).for_each(|wake| tx.ledger.wakeups().wake(wake));
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

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::ids::EventId;

    #[test]
    fn an_event_says_its_time_to_the_microsecond_its_facts_in_order_and_no_control_character() {
        let at = Timestamp::from_microsecond(1_700_000_000_000_004).expect("is a time");
        let event = Event::new(AuditAction::SessionFailed, "sess_x").failed().fact("z", "a\u{1b}[2Jb\0").fact("a", 1);
        let event = event.at(EventId::from_parts(0, [0; 10]), at, &Origin::system());
        assert_eq!(event.at, "2023-11-14T22:13:20.000004Z");
        assert_eq!(event.facts[0], ("a".to_owned(), "1".to_owned()));
        assert_eq!(event.facts[1].1, "a\u{FFFD}[2Jb\u{FFFD}");
    }
}
