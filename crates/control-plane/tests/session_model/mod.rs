//! The life of one session as anything may happen to it, and what holds after every step.
//!
//! A [`World`] drives a [`Books`] (the ledger, on paper or on a real Postgres) and a [`Target`] (a database, as the SQL
//! helpers make it behave) with a list of [`Op`]s in any order: leases run out, results come late, twice or never, looks
//! arrive after the facts, backups come back. A list that breaks a rule is shrunk to the shortest that still does, and
//! its error tells the story line by line.

mod rules;
mod target;

use gk_shared::session::{Intent, SessionFacts, SessionStatus};
use gk_shared::wire::agent::Observation;
use gk_shared::wire::job::{Job, JobOutcome, LeasedJob};
use gk_shared::wire::session::SessionFailure;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

pub(crate) use target::{Target, refused};

/// One thing that happens. A number picks one of several, whatever their count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    /// An agent asks for work.
    Claim,
    /// An agent does on the target what a lease says, however old the lease is.
    Act(u8),
    /// An agent reports what it did, perhaps not for the first time.
    Report(u8),
    /// An agent says that it could not do it.
    GiveUp(u8, bool),
    /// Somebody wants it gone.
    Revoke,
    /// Somebody wants more time.
    Extend,
    /// The ledger's clock finds that its time is up.
    TimeUp,
    /// The target's clock finds so, and the agent ends it by itself.
    AgentEnds,
    /// It was to be ready by now.
    Late,
    /// Every lease and every pause runs out.
    LoseLeases,
    /// The jobs table is emptied, and the scan comes by.
    LoseJobs,
    /// Everything up to now becomes older than any look.
    Age,
    /// An agent looks at the target.
    Look,
    /// A look arrives.
    Deliver(u8),
    /// Something on the target keeps the role from being dropped.
    Block,
    /// Nothing does.
    Unblock,
    /// The target comes back from a backup in which the role could log in.
    Restore,
    /// Somebody drops the role.
    Vanish,
}

/// The ledger, as far as a session goes through it.
pub(crate) trait Books {
    /// What is leased to an agent that asks.
    fn claim(&mut self) -> Vec<LeasedJob>;
    /// Takes a result; whether it changed anything.
    fn report(&mut self, lease: &LeasedJob, outcome: &JobOutcome) -> bool;
    fn revoke(&mut self);
    fn extend(&mut self);
    /// Its time is up, and the scan comes by.
    fn time_up(&mut self);
    /// It was to be ready by now, and the scan comes by.
    fn late(&mut self);
    fn lose_leases(&mut self);
    fn lose_jobs(&mut self);
    fn age(&mut self);
    fn observe(&mut self, look: &Observation);
    /// What is known of the session now.
    fn facts(&self) -> Known;
}

/// What the ledger says of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) facts: SessionFacts,
    pub(crate) status: SessionStatus,
    /// The words of its events, in their order.
    pub(crate) events: Vec<String>,
}

impl Known {
    pub(crate) fn count(&self, word: &str) -> usize {
        self.events.iter().filter(|event| *event == word).count()
    }
}

/// A lease in an agent's hands, and what came of it.
struct Held {
    lease: LeasedJob,
    outcome: Option<JobOutcome>,
}

/// A ledger, a target, and what is under way between them.
pub(crate) struct World<B> {
    books: B,
    target: Target,
    held: Vec<Held>,
    looks: Vec<Observation>,
    /// The target was changed by others than agents: what was proven may not be so any more.
    disturbed: bool,
    story: Vec<(Op, SessionStatus, i64, Target)>,
}

impl<B: Books> World<B> {
    fn new(books: B, target: Target) -> Self {
        Self { books, target, held: Vec::new(), looks: Vec::new(), disturbed: false, story: Vec::new() }
    }

    /// Lets all of it happen, then nothing more but what agents and clocks do by themselves, and checks every step.
    fn live(&mut self, ops: &[Op]) -> Result<(), TestCaseError> {
        for op in ops {
            self.step(*op)?;
        }
        self.step(Op::Unblock)?;
        for _ in 0..4 {
            for op in [Op::Age, Op::Look, Op::Deliver(0), Op::LoseLeases, Op::Claim] {
                self.step(op)?;
            }
            for place in (0..self.held.len()).filter_map(|place| u8::try_from(place).ok()) {
                self.step(Op::Act(place))?;
                self.step(Op::Report(place))?;
            }
        }
        let now = self.books.facts();
        self.judge(rules::settled(&now, &self.target))
    }

    fn step(&mut self, op: Op) -> Result<(), TestCaseError> {
        let before = self.books.facts();
        self.happen(op);
        let now = self.books.facts();
        self.story.push((op, now.status, now.facts.generation, self.target.clone()));
        let calm = !self.disturbed;
        self.judge(rules::step(&before, &now).and_then(|()| rules::place(&now, (&self.target, calm))))
    }

    fn judge(&self, rule: Result<(), String>) -> Result<(), TestCaseError> {
        rule.map_err(|broken| TestCaseError::fail(format!("{broken}; this happened:{}", self.told())))
    }

    /// Each step with what stood in the ledger and on the target after it.
    fn told(&self) -> String {
        let line = |(op, status, generation, target): &(Op, SessionStatus, i64, Target)| {
            format!("\n    {op:?}: {status} {generation} | {target}")
        };
        self.story.iter().map(line).collect()
    }

    fn happen(&mut self, op: Op) {
        match op {
            Op::Claim => {
                let new = self.books.claim().into_iter().map(|lease| Held { lease, outcome: None });
                self.held.extend(new);
            }
            Op::Act(place) => self.act(place),
            Op::Report(place) => {
                if let Some((lease, outcome)) =
                    self.pick(place).and_then(|held| Some((held.lease.clone(), held.outcome.clone()?)))
                {
                    self.books.report(&lease, &outcome);
                }
            }
            Op::GiveUp(place, retryable) => {
                if let Some(lease) = self.pick(place).map(|held| held.lease.clone()) {
                    self.books.report(&lease, &refused("target_unreachable", retryable));
                }
            }
            Op::Revoke => self.books.revoke(),
            Op::Extend => self.books.extend(),
            Op::TimeUp => self.books.time_up(),
            Op::Late => self.books.late(),
            Op::LoseLeases => self.books.lose_leases(),
            Op::LoseJobs => self.books.lose_jobs(),
            Op::Age => {
                // A look that is older than that never arrives.
                self.looks.clear();
                self.books.age();
            }
            Op::Look => self.looks.push(self.target.look()),
            Op::Deliver(place) => {
                if !self.looks.is_empty() {
                    let look = self.looks.remove(usize::from(place) % self.looks.len());
                    self.books.observe(&look);
                }
            }
            Op::Block => self.target.blocked = true,
            Op::Unblock => self.target.blocked = false,
            Op::AgentEnds | Op::Restore | Op::Vanish => self.disturb(op),
        }
    }

    fn disturb(&mut self, op: Op) {
        let changed = match op {
            Op::AgentEnds => self.target.end_by_itself(),
            Op::Restore => self.target.restore(),
            _ => self.target.vanish(),
        };
        self.disturbed |= changed;
    }

    fn act(&mut self, place: u8) {
        let Some(held) = self.pick(place) else { return };
        let (job, generation) = (held.lease.job.clone(), held.lease.generation);
        let outcome = match job {
            Job::CreateSession(_) => self.target.mint(generation),
            Job::RevokeSession(_) => self.target.end(generation),
            Job::ExtendSession(_) => self.target.extend(generation),
        };
        if let Some(held) = self.pick(place) {
            held.outcome = Some(outcome);
        }
    }

    fn pick(&mut self, place: u8) -> Option<&mut Held> {
        let place = usize::from(place) % self.held.len().max(1);
        self.held.get_mut(place)
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Claim),
        6 => any::<u8>().prop_map(Op::Act),
        6 => any::<u8>().prop_map(Op::Report),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(place, retryable)| Op::GiveUp(place, retryable)),
        2 => Just(Op::Revoke),
        1 => Just(Op::Extend),
        1 => Just(Op::TimeUp),
        1 => Just(Op::AgentEnds),
        1 => Just(Op::Late),
        3 => Just(Op::LoseLeases),
        1 => Just(Op::LoseJobs),
        2 => Just(Op::Age),
        3 => Just(Op::Look),
        3 => any::<u8>().prop_map(Op::Deliver),
        1 => Just(Op::Block),
        1 => Just(Op::Unblock),
        1 => Just(Op::Restore),
        1 => Just(Op::Vanish),
    ]
}

/// Lives through exactly this. The story of the first rule that broke.
pub(crate) fn live<B: Books>((books, target): (B, Target), ops: &[Op]) -> Result<(), String> {
    World::new(books, target).live(ops).map_err(|broken| broken.to_string())
}

/// How many lives, and how they are chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lives {
    pub(crate) count: u32,
    /// The same ones each time.
    pub(crate) repeatable: bool,
    /// How many shorter ones are tried once a rule broke.
    pub(crate) shrinks: u32,
}

/// Lives through lives of up to 40 steps, each with books of its own. The answer is the shortest life in which a rule
/// broke, with its story.
pub(crate) fn explore<B: Books>(lives: Lives, mut open: impl FnMut() -> (B, Target)) -> Result<(), (String, Vec<Op>)> {
    let (cases, max_shrink_iters) = (lives.count, lives.shrinks);
    let config = Config { cases, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let mut runner = if lives.repeatable {
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    } else {
        TestRunner::new(config)
    };
    let open = std::cell::RefCell::new(&mut open);
    let outcome = runner.run(&proptest::collection::vec(any_op(), 1..40), |ops| {
        let (books, target) = open.borrow_mut()();
        World::new(books, target).live(&ops)
    });
    outcome.map_err(|error| match error {
        TestError::Fail(reason, ops) => (reason.to_string(), ops),
        TestError::Abort(reason) => panic!("gave up: {reason}"),
    })
}

/// A failure as agents report it.
pub(crate) fn failure(code: &str, retryable: bool) -> SessionFailure {
    SessionFailure { code: code.into(), message: "no".into(), retryable }
}

/// Whether it is wanted.
pub(crate) fn is_wanted(facts: &SessionFacts) -> bool {
    facts.intent == Intent::Present
}
