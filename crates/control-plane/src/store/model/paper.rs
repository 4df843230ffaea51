//! The ledger's rows of one session, and what each statement of the store does to them.

use gk_shared::ids::{JobId, SessionId};
use gk_shared::session::{Desired, EndReason, Intent, Observed, SessionFacts};
use gk_shared::wire::agent::{Observation, ObservedRole};
use gk_shared::wire::job::{
    CreateSessionJob, ExtendSessionJob, Job, JobOutcome, LeasedJob, Requester, RevokeSessionJob,
};

use super::session_model::{self, Books};
use crate::store::jobs::verdict::{Held, JobKind, Verdict};
use crate::store::observe::reconcile::{Known, Step};

/// The decisions; a test may break one.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) decide: fn(&Held, &JobOutcome) -> Verdict,
    pub(super) seen: fn(&Known, &ObservedRole) -> Step,
    pub(super) dropped: fn(&Known) -> Step,
    pub(super) missing: fn(&Known) -> Step,
}

/// A row of `jobs`.
struct Row {
    kind: JobKind,
    /// Not done, and due for the next claim.
    due: bool,
    done: bool,
    leased: bool,
    lease: i64,
    token: u32,
    attempt: i32,
    result: Option<String>,
}

/// The ledger on paper.
pub(super) struct Paper {
    session: SessionId,
    rules: Rules,
    facts: SessionFacts,
    observed_generation: i64,
    ready: bool,
    over: bool,
    settled: bool,
    jobs: Vec<Row>,
    tokens: u32,
    events: Vec<String>,
}

impl Paper {
    pub(super) fn new(session: SessionId, rules: Rules) -> Self {
        let mut paper = Self {
            session,
            rules,
            facts: SessionFacts::requested(),
            observed_generation: 0,
            ready: false,
            over: false,
            settled: false,
            jobs: Vec::new(),
            tokens: 0,
            events: vec!["session.requested".to_owned()],
        };
        paper.queue(JobKind::Create);
        paper
    }

    fn tell(&mut self, event: &str) {
        self.events.push(event.to_owned());
    }

    fn wanted(&self) -> bool {
        self.facts.intent == Intent::Present
    }

    /// One live job of a kind.
    fn queue(&mut self, kind: JobKind) {
        if !self.jobs.iter().any(|job| job.kind == kind && !job.done) {
            let (due, done, leased) = (true, false, false);
            self.jobs.push(Row { kind, due, done, leased, lease: 0, token: 0, attempt: 0, result: None });
        }
    }

    fn want_absent(&mut self, reason: EndReason) {
        let never_leased = self.facts.generation == 1;
        let Ok(facts) = self.facts.clone().want_absent(reason) else { return };
        self.facts = facts;
        self.tell(if reason == EndReason::Failed { "session.failed" } else { "session.ending" });
        if never_leased {
            self.facts.observed = Observed::Absent;
            (self.facts.end.cut, self.facts.end.dropped) = (true, true);
            self.tell("session.cleaned");
        } else {
            self.queue(JobKind::Revoke);
        }
    }

    fn lease(&mut self, place: usize) -> LeasedJob {
        self.tokens += 1;
        if self.jobs[place].kind == JobKind::Create {
            self.facts.generation += 1;
        }
        let (token, generation) = (self.tokens, self.facts.generation);
        let row = &mut self.jobs[place];
        (row.due, row.leased, row.lease, row.token, row.result) = (false, true, generation, token, None);
        row.attempt += 1;
        let attempt = row.attempt;
        let job = self.job(place);
        LeasedJob { job, lease_token: token.to_string(), lease_ms: 30_000, generation, attempt }
    }

    fn job(&self, place: usize) -> Job {
        let id = JobId::from_parts(u64::try_from(place).expect("is small"), [2; 10]);
        let (session_id, correlation_id) = (self.session, "req".to_owned());
        let target = "pg-local".parse().expect("is a name");
        match self.jobs[place].kind {
            JobKind::Create => Job::CreateSession(CreateSessionJob {
                id,
                correlation_id,
                session_id,
                target,
                role: "app_read".parse().expect("is a name"),
                pack_version: "pg-1.0.0".into(),
                pack_digest: "d".into(),
                ttl_seconds: 900,
                max_connections: None,
                requester: Requester { user_id: "ada".into(), email: None },
                reason: None,
                recipient_public_key: "k".into(),
            }),
            JobKind::Revoke => {
                let reason = EndReason::Revoked;
                Job::RevokeSession(RevokeSessionJob { id, correlation_id, session_id, target, reason })
            }
            JobKind::Extend => {
                Job::ExtendSession(ExtendSessionJob { id, correlation_id, session_id, target, ttl_seconds: 900 })
            }
        }
    }

    fn held(&self, row: &Row) -> Held {
        Held {
            kind: row.kind,
            role: self.session.role_name(),
            desired: if self.wanted() { Desired::Present } else { Desired::Absent },
            generation: self.facts.generation,
            lease_generation: row.lease,
            attempt: row.attempt,
            cut: self.facts.end.cut,
            ended: self.facts.end.dropped,
            blocked: self.facts.end.blocked.clone(),
            late: false,
        }
    }

    /// As `apply.rs` does it; whether anything changed.
    fn apply(&mut self, place: usize, verdict: Verdict) -> bool {
        let close = |row: &mut Row| (row.done, row.leased) = (true, false);
        let back = |row: &mut Row| (row.leased, row.due) = (false, false);
        match verdict {
            Verdict::Stale | Verdict::WrongOutcome => return false,
            Verdict::Done => close(&mut self.jobs[place]),
            Verdict::Again { .. } => back(&mut self.jobs[place]),
            Verdict::Ready { .. } => {
                close(&mut self.jobs[place]);
                (self.facts.observed, self.ready) = (Observed::Armed, true);
                (self.observed_generation, self.settled) = (self.jobs[place].lease, false);
                self.tell("session.created");
            }
            Verdict::Extended { .. } | Verdict::NotExtended(_) => {
                close(&mut self.jobs[place]);
                self.over = false;
                self.tell("session.extended");
            }
            Verdict::Cut { dropped, blocked, .. } => {
                if dropped {
                    close(&mut self.jobs[place]);
                } else {
                    back(&mut self.jobs[place]);
                }
                self.cut(dropped, blocked);
            }
            Verdict::Failed(_) | Verdict::Refused(_) => {
                close(&mut self.jobs[place]);
                self.want_absent(EndReason::Failed);
            }
        }
        true
    }

    fn cut(&mut self, dropped: bool, blocked: Option<String>) {
        if !self.facts.end.cut {
            self.tell("session.cut");
        }
        if dropped {
            self.tell("session.cleaned");
        } else if blocked.is_some() {
            self.tell("session.quarantined");
        } else if self.facts.end.cut {
            self.tell("session.cut");
        }
        self.facts.observed = if dropped { Observed::Absent } else { Observed::Disarmed };
        (self.facts.end.cut, self.facts.end.dropped, self.facts.end.blocked) = (true, dropped, blocked);
        self.settled = false;
    }

    fn known(&self) -> Known {
        Known {
            desired: if self.wanted() { Desired::Present } else { Desired::Absent },
            observed: self.facts.observed,
            generation: self.facts.generation,
            observed_generation: self.observed_generation,
            backends: Some(0),
            ready: self.ready,
            cut: self.facts.end.cut,
            ended: self.facts.end.dropped,
            over: self.over,
            settled: self.settled,
        }
    }

    /// As `observe/apply.rs` does it.
    fn mend(&mut self, step: Step, role: Option<&ObservedRole>) {
        match step {
            Step::Nothing | Step::Orphan => {}
            Step::Note => self.observed_generation = role.map_or(self.observed_generation, |role| role.generation),
            Step::Hurry => self.lose_leases(),
            Step::Resurrected => {
                self.facts.generation += 1;
                self.facts.end = gk_shared::session::EndProof::default();
                self.facts.observed = match role {
                    Some(role) if role.armed => Observed::Armed,
                    Some(_) | None => Observed::Disarmed,
                };
                self.tell("session.resurrected");
                self.queue(JobKind::Revoke);
                self.jobs.iter_mut().filter(|job| !job.leased).for_each(|job| job.due = true);
            }
            Step::Lost { dropped, .. } => self.lost((EndReason::Failed, dropped), Some("session.lost")),
            Step::Expired { dropped } => self.lost((EndReason::Expired, dropped), None),
            Step::Gone => self.gone(),
        }
    }

    fn lost(&mut self, (reason, dropped): (EndReason, bool), event: Option<&str>) {
        if let Some(event) = event.filter(|_| self.wanted()) {
            self.tell(event);
        }
        self.want_absent(reason);
        if dropped {
            self.gone();
        }
    }

    fn gone(&mut self) {
        if self.wanted() || self.facts.end.dropped {
            return;
        }
        if !self.facts.end.cut {
            self.tell("session.cut");
        }
        self.tell("session.cleaned");
        self.facts.observed = Observed::Absent;
        self.facts.end = gk_shared::session::EndProof { cut: true, dropped: true, blocked: None };
        self.settled = false;
    }

    fn plan(&self, look: &Observation) -> (Step, Option<ObservedRole>) {
        let (known, role) = (self.known(), look.roles.first().cloned());
        let alive = role.as_ref().is_some_and(|role| role.armed || role.backends > 0);
        let step = match &role {
            _ if !look.dropped.is_empty() && !alive => (self.rules.dropped)(&known),
            Some(role) => (self.rules.seen)(&known, role),
            None => (self.rules.missing)(&known),
        };
        (step, role)
    }
}

impl Books for Paper {
    fn claim(&mut self) -> Vec<LeasedJob> {
        let wanted = |paper: &Self, kind| match kind {
            JobKind::Create => paper.wanted() && !paper.ready,
            JobKind::Extend => paper.wanted() && paper.facts.observed == Observed::Armed,
            JobKind::Revoke => !paper.wanted() && !paper.facts.end.dropped,
        };
        let due = |paper: &Self, place: &usize| {
            let job = &paper.jobs[*place];
            job.due && !job.done && wanted(paper, job.kind)
        };
        let places: Vec<usize> = (0..self.jobs.len()).filter(|place| due(self, place)).collect();
        places.into_iter().map(|place| self.lease(place)).collect()
    }

    fn report(&mut self, lease: &LeasedJob, outcome: &JobOutcome) -> bool {
        let token = Ok(lease.lease_token.clone());
        let same = |job: &Row| Ok::<_, ()>(job.token.to_string()) == token && job.lease == lease.generation;
        let Some(place) = self.jobs.iter().position(same) else { return false };
        let result = serde_json::to_string(outcome).expect("texts and numbers");
        if self.jobs[place].result.as_ref() == Some(&result) || !self.jobs[place].leased {
            return false;
        }
        let verdict = (self.rules.decide)(&self.held(&self.jobs[place]), outcome);
        let changed = self.apply(place, verdict);
        if changed {
            self.jobs[place].result = Some(result);
        }
        changed
    }

    fn revoke(&mut self) {
        self.want_absent(EndReason::Revoked);
    }

    fn extend(&mut self) {
        if self.wanted() && self.facts.observed == Observed::Armed {
            let before = self.jobs.len();
            self.queue(JobKind::Extend);
            if self.jobs.len() > before {
                self.tell("session.extended");
            }
        }
    }

    fn time_up(&mut self) {
        if self.wanted() && self.ready {
            self.want_absent(EndReason::Expired);
        }
    }

    fn late(&mut self) {
        if self.wanted() && !self.ready {
            self.want_absent(EndReason::Failed);
        }
    }

    fn lose_leases(&mut self) {
        self.jobs.iter_mut().filter(|job| !job.done).for_each(|job| job.due = true);
    }

    fn lose_jobs(&mut self) {
        self.jobs.iter_mut().for_each(|job| (job.done, job.leased, job.token) = (true, false, 0));
        if !self.wanted() && !self.facts.end.dropped {
            self.queue(JobKind::Revoke);
        }
        if self.wanted() && !self.ready {
            self.queue(JobKind::Create);
        }
    }

    fn age(&mut self) {
        self.settled = self.ready || self.facts.end.cut;
    }

    fn observe(&mut self, look: &Observation) {
        let (step, role) = self.plan(look);
        self.mend(step, role.as_ref());
    }

    fn facts(&self) -> session_model::Known {
        let (facts, events) = (self.facts.clone(), self.events.clone());
        session_model::Known { status: facts.status(), facts, events }
    }
}
