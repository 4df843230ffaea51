//! What must hold for every input that somebody else wrote: one property a reader, each a function of raw bytes.
//!
//! The fuzz targets below `fuzz/` call these functions with invented bytes, `tests/corpus.rs` with the kept ones; there
//! is no second copy. Always holds: a property panics if and only if the promise broke, and it needs no database, no
//! network and no clock. A property says more than "no crash": what was read writes back as it was, what another small
//! reader written here takes is what ours takes, what was altered is refused.

#![forbid(unsafe_code)]

mod audit;
mod checkpoint;
mod config;
mod cursor;
mod dsn;
mod idempotency;
mod job;
mod merkle;
mod names;
mod query;
mod reason;
mod report;
mod shape;
mod signed;
mod ttl;

/// A property of arbitrary bytes; it panics where it does not hold.
pub type Property = fn(&[u8]);

/// Every property under the name of its fuzz target and of its corpus.
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

/// The property with this name.
#[must_use]
pub fn property(name: &str) -> Option<Property> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, property)| *property)
}
