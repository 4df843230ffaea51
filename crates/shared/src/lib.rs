//! The vocabulary that every part of Gatekeeper shares: ids, names, states, wire types, errors, audit bytes and seals.
//!
//! Nothing here does I/O, waits, reads a clock or rolls dice: time and randomness are arguments. What one part says to
//! another is defined here once, so that the control plane, the agent and `gk` cannot disagree about it.
#![forbid(unsafe_code)]

pub mod audit;
pub mod dsn;
pub mod exit;
pub mod idempotency;
pub mod ids;
pub mod names;
pub mod problem;
pub mod reason;
pub mod seal;
pub mod secret;
pub mod session;
pub mod ttl;
pub mod wire;
