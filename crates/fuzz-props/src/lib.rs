//! What must hold for every input that somebody else wrote: one property a reader, each a function of raw bytes.
//!
//! The fuzz targets below `fuzz/` call these functions with invented bytes, `tests/corpus.rs` with the kept ones; there
//! is no second copy. Always holds: a property panics if and only if the promise broke, and it needs no database, no
//! network and no clock. A property says more than "no crash": what was read writes back as it was, what another small
//! reader written here takes is what ours takes, what was altered is refused.

#![forbid(unsafe_code)]

pub mod audit;
pub mod checkpoint;
pub mod config;
pub mod cursor;
pub mod dsn;
pub mod idempotency;
pub mod job;
pub mod merkle;
pub mod names;
pub mod query;
pub mod reason;
pub mod report;
mod shape;
mod signed;
pub mod ttl;

/// A property of arbitrary bytes; it panics where it does not hold.
pub type Property = fn(&[u8]);

/// Every property under the name of its fuzz target and of its corpus. The fuzz targets name their function itself: a
/// program that holds one property only has less code for the fuzzer to watch, and tries several times as many inputs.
pub const TARGETS: &[(&str, Property)] = &[
    ("audit", audit::check),
    ("checkpoint", checkpoint::check),
    ("config_agent", config::check_agent),
    ("config_cli", config::check_cli),
    ("config_plane", config::check_plane),
    ("cursor", cursor::check),
    ("dsn", dsn::check),
    ("dsn_build", dsn::check_built),
    ("idempotency", idempotency::check),
    ("job", job::check),
    ("merkle", merkle::check),
    ("names", names::check),
    ("query", query::check),
    ("reason", reason::check),
    ("report", report::check),
    ("ttl", ttl::check),
];
