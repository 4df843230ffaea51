//! The control plane: who may have which database role, for how long, and the proof that it ended.
//!
//! [`serve`] runs it: the HTTP API, the clocks that end sessions, the sealer and the notary of the audit log. Always holds: no target
//! credential is kept or readable here, every change commits together with its audit event, and any number of these
//! processes may run on one ledger, because all state is there.
#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
mod error;
pub mod http;
mod lines;
pub mod logging;
pub mod machine;
pub mod notary;
pub mod plane;
pub mod policy;
pub mod sinks;
mod startup;
pub mod store;
pub mod wakeups;

pub use startup::{PlaneError, admin_token, audit_keys, migrate, rotate_audit_key, serve};

/// Version of this binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
