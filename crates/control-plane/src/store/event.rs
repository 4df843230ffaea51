//! Audit events before they have a time and a place: who did what to what, and how it went.

use gk_shared::audit::{AuditAction, AuditEvent, Outcome};
use gk_shared::ids::{EventId, RequestId};
use jiff::Timestamp;

use super::ledger::DEFAULT_TENANT_NAME;

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

    /// The event at its time.
    pub(super) fn at(mut self, id: EventId, at: Timestamp, origin: &Origin) -> AuditEvent {
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

/// Texts of others (errors, reasons) may not steer a terminal that shows them, nor hold what Postgres refuses in a text.
pub(super) fn clean(text: &str) -> String {
    const LONGEST: usize = 2000;
    text.chars().take(LONGEST).map(|found| if found.is_control() { '\u{FFFD}' } else { found }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
