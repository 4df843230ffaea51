//! The ledger: every SQL statement of the control plane, one entity a module.
//!
//! A function takes and gives types that were checked, and its SQL starts with its own name. What changes something a
//! caller asked for runs in an [`AuditedTx`] inside, so it is committed with its audit event or not at all; wake-ups go
//! out after the commit. What a caller did wrong is part of each answer; [`StoreError`] is the ledger's own trouble
//! ([`StoreError::code`] says how it is answered). Lock order: a job before its session, never the other way.
//!
//! | function | does |
//! | --- | --- |
//! | [`migrate`], [`check_schema`] | bring the schema up to date; refuse another version |
//! | [`tokens::authenticate`] | who calls, by the hash of the token (one query) |
//! | [`tokens::create`], [`tokens::revoke`], [`tokens::list`], [`tokens::admin`] | tokens; the first admin token |
//! | [`actors::disable`] | disable an actor; its live sessions end |
//! | [`agents::enroll`], [`agents::list`], [`agents::heartbeat`] | agents, their targets and what they report |
//! | [`agents::revoke`], [`certificates::enrol`], [`certificates::renew`] | what agents show instead of a token |
//! | [`targets::list`], [`targets::find`], [`packs::list`] | the catalog, without policy (`roles` is left empty) |
//! | [`sessions::create`] | idempotent create: session, job, key, event in one transaction |
//! | [`sessions::find`], [`sessions::list`] | read, by what the viewer may see |
//! | [`sessions::wait`], [`sessions::wait_seated`] | read, but not before it settles or the wait is over; the same for who has just asked |
//! | [`sessions::mark_credential_read`] | the first delivery of a credential, audited once |
//! | [`sessions::end`], [`sessions::extend`] | want it gone; ask for more time |
//! | [`jobs::claim`] (long poll), [`jobs::renew`], [`jobs::complete`] | the agent's side of a job |
//! | [`observe::observe`] | what an agent saw on a target, held against what is wanted |
//! | [`recovery::show`], [`recovery::accept`] | what is ahead of a ledger that went back; take it as it is |
//! | [`cleanup::check`], [`cleanup::run`] | what is left that should be gone; try again now |
//! | [`audit::record`] | an event without a change (denials, refusals) |
//! | [`audit::seal`], [`audit::events`], [`audit::checkpoint`], [`audit::unsealed`] | link events, read the log |
//! | [`sinks::turn`], [`sinks::batch`], [`sinks::begin`], [`sinks::finish`] | what is delivered to a sink of the log, by whom, and that it was |
//! | [`status::status`], [`status::gauges`] | numbers for `/v1/status` and `/metrics` |
//! | [`scan::run`], [`scan::tidy`] | what the clocks call: expiry, lost jobs, housekeeping |

pub mod actors;
pub mod agents;
pub mod audit;
pub mod certificates;
pub mod cleanup;
mod error;
mod event;
pub mod jobs;
mod ledger;
mod migrate;
#[cfg(test)]
mod model;
pub mod observe;
pub mod packs;
mod random;
pub mod recovery;
mod row;
pub mod scan;
pub mod sessions;
pub mod sinks;
pub mod status;
pub mod targets;
pub mod tokens;
mod tx;

pub use error::StoreError;
pub use event::{Event, Origin};
pub use ledger::{Lane, Ledger, PoolUse};
pub use migrate::{Migrated, check_schema, known_version, migrate};
pub use random::{FreshId, Randomness, SystemRandomness};
pub use tx::{AuditedTx, Recorded};
