//! The judge: twelve invariants, each a fold over what was seen, without a clock or a connection of its own.
//!
//! Always holds: a rule that never had anything to check has proven nothing, so checks are counted; the same wrong is
//! told once.

mod amnesty;
mod armed;
mod audit;
mod backends;
mod books;
mod errors;
mod fence;
mod invariant;
mod logins;
mod overstay;
mod recovery;
mod revokes;
mod single;
mod things;

pub use invariant::Invariant;
pub use overstay::Overstay;

use crate::evidence::Evidence;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Violations that are kept: after the first few more of them tell nothing new.
const KEPT: usize = 200;

/// How long what is wrong may stay wrong while every part that mends it is there.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// A connection after the end of its session.
    pub cut: Duration,
    /// A login that is no longer wanted; a role that nobody knows.
    pub converge: Duration,
    /// The slack of an end by a clock that was set back.
    pub clock: Duration,
}

impl Bounds {
    /// What the design promises.
    #[must_use]
    pub const fn promised() -> Self {
        Self { cut: Duration::from_secs(5), converge: Duration::from_secs(10), clock: Duration::from_secs(2) }
    }

    /// Wider, for a machine that has other work as well.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        Self { cut: self.cut * factor, converge: self.converge * factor, ..self }
    }
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
    /// During which fault.
    pub during: String,
}

/// A rule: what an invariant says about the evidence.
trait Rule: Send {
    /// The invariant that it guards.
    fn invariant(&self) -> Invariant;
    /// Looks at one more piece of evidence.
    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>);
}

/// Where a rule writes down what it found.
struct Found<'a> {
    invariant: Invariant,
    bounds: Bounds,
    state: &'a mut State,
}

impl Found<'_> {
    /// One thing was held against the invariant.
    fn checked(&mut self) {
        *self.state.checks.entry(self.invariant).or_default() += 1;
    }

    /// The invariant does not hold for `whom`.
    fn violated(&mut self, whom: &str, what: impl Into<String>) {
        if self.state.known.insert((self.invariant, whom.to_owned())) && self.state.violations.len() < KEPT {
            let what = format!("{whom}: {}", what.into());
            let during = self.state.during.clone();
            self.state.violations.push(Violation { invariant: self.invariant, what, during });
        }
    }

    /// Checks, and tells what is wrong if it is.
    fn holds(&mut self, holds: bool, whom: &str, what: impl FnOnce() -> String) {
        self.checked();
        if !holds {
            self.violated(whom, what());
        }
    }
}

#[derive(Debug, Default)]
struct State {
    checks: BTreeMap<Invariant, u64>,
    violations: Vec<Violation>,
    known: BTreeSet<(Invariant, String)>,
    during: String,
}

/// All rules, and what they found so far.
pub struct Judge {
    rules: Vec<Box<dyn Rule>>,
    bounds: Bounds,
    state: State,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Judge {
    /// A judge who has seen nothing yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let rules: Vec<Box<dyn Rule>> = vec![
            Box::<logins::Logins>::default(),
            Box::<backends::Backends>::default(),
            Box::<single::Single>::default(),
            Box::<armed::Armed>::default(),
            Box::<books::Accounted>::default(),
            Box::<fence::Fenced>::default(),
            Box::<audit::Audited>::default(),
            Box::<things::Secrets>::default(),
            Box::<errors::Errors>::default(),
            Box::<things::Objects>::default(),
            Box::<revokes::Revokes>::default(),
            Box::<recovery::Recovers>::default(),
        ];
        Self { rules, bounds, state: State::default() }
    }

    /// Hears one piece of evidence.
    pub fn hear(&mut self, evidence: &Evidence) {
        for rule in &mut self.rules {
            let invariant = rule.invariant();
            rule.see(evidence, &mut Found { invariant, bounds: self.bounds, state: &mut self.state });
        }
    }

    /// What did not hold so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.state.violations
    }

    /// How often each invariant was held against something.
    #[must_use]
    pub fn checks(&self) -> BTreeMap<Invariant, u64> {
        Invariant::ALL.into_iter().map(|one| (one, self.state.checks.get(&one).copied().unwrap_or(0))).collect()
    }
}

/// A judge whom many tell things.
#[derive(Debug, Clone)]
pub struct Court(Arc<Mutex<Judge>>);

impl Court {
    /// A court that has heard nothing yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Mutex::new(Judge::new(bounds))))
    }

    /// Tells the judge.
    pub fn hear(&self, evidence: &Evidence) {
        self.judge().hear(evidence);
    }

    /// From now on violations are said to have been seen during this.
    pub fn during(&self, what: &str) {
        what.clone_into(&mut self.judge().state.during);
    }

    /// What did not hold so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.judge().violations().to_vec()
    }

    /// How often each invariant was held against something.
    #[must_use]
    pub fn checks(&self) -> BTreeMap<Invariant, u64> {
        self.judge().checks()
    }

    fn judge(&self) -> MutexGuard<'_, Judge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod testing;
