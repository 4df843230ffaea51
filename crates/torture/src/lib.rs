//! Gatekeeper under torture: every fault of the matrix, injected into the whole system under load, with an oracle that looks
//! at ledger and target ten times a second and a judge who holds twelve invariants against what it saw.
//!
//! * `evidence`, `judge`: what was seen, and what must hold. Pure.
//! * `sight`, `oracle`: the eyes, on connections of their own.
//! * `stage`, `wire`, `clocks`: the system, with a wire between each two parts.
//! * `workload`: clients that go on whatever happens.
//! * `faults`: what is done to it. To add one: a function `async fn(&mut Stage, &mut StdRng) -> Hits` and a line in
//!   `faults/registry.rs`.
//! * `settle`, `run`, `report`: rounds of fault, healing, convergence, judgement, and what they came to.
//!
//! Always holds: a run in which a planned fault was never hit, or in which nobody was let in, refused or cut, has failed.

pub mod clocks;
pub mod disk;
pub mod evidence;
pub mod faults;
pub mod judge;
pub mod limits;
pub mod loss;
pub mod modes;
pub mod need;
pub mod oracle;
pub mod papers;
pub mod part;
pub mod report;
pub mod run;
pub mod schedule;
pub mod settle;
pub mod sight;
pub mod stage;
pub mod tally;
pub mod trace;
pub mod volume;
pub mod wire;
pub mod workload;
