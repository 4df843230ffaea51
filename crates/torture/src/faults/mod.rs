//! The faults: what is done to the system, and what proves that it was hit.
//!
//! Always holds: a fault undoes itself before it returns, also when it fails half way (guards), so that recovery needs no
//! hand; it says how often it hit, and zero is a failed run. The numbers are those of the fault matrix.

mod addresses;
mod agents;
mod backends;
mod backlog;
mod certificates;
mod disks;
mod held;
mod jobs;
pub(crate) mod kills;
mod limits;
mod pauses;
mod people;
mod refusals;
mod registry;
mod restores;
mod standbys;
mod syscalls;
mod tamper;
mod times;
mod versions;
mod wires;

pub use registry::all;

use crate::need::Need;
use crate::stage::{Kind, Stage};
use futures_util::future::LocalBoxFuture;
use rand::rngs::StdRng;

/// What a fault did.
#[derive(Debug, Clone)]
pub struct Hits {
    /// How often it hit; none is a fault that was not there.
    pub count: u64,
    /// What the count counts, in words.
    pub proof: String,
}

impl Hits {
    /// So many of these.
    #[must_use]
    pub fn of(count: impl TryInto<u64>, what: &str) -> Self {
        let count = count.try_into().unwrap_or(u64::MAX);
        Self { count, proof: format!("{count} {what}") }
    }

    /// Both have to have hit: the count is the smaller one.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self { count: self.count.min(other.count), proof: format!("{}, {}", self.proof, other.proof) }
    }
}

/// Injects a fault, proves it and takes it away.
pub type Run = for<'a> fn(&'a mut Stage, &'a mut StdRng) -> LocalBoxFuture<'a, Hits>;

/// One line of the fault matrix.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its number: `F2`.
    pub number: &'static str,
    /// What it does, in words.
    pub name: &'static str,
    /// What the machine has to have.
    pub needs: &'static [Need],
    /// The stage that it plays on.
    pub kind: Kind,
    /// Whether it is short and needs nothing, so that every CI run has it.
    pub cheap: bool,
    /// How long one round of a short dose takes on two cores, with recovery and all looks.
    pub seconds: u16,
    /// What it does.
    pub run: Run,
}
