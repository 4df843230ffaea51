//! `gk`, the command line of Gatekeeper, and the small client that it calls the control plane with.
//!
//! [`run`] is the whole program. [`client`] opens a session the way `gk session create` does, for programs that measure
//! it; [`context`] is where `gk dev` leaves the address and token it made. Nothing here talks to the ledger, and to a
//! target only as an ordinary client with a session's credential.
#![forbid(unsafe_code)]

mod app;
mod arg;
mod cli;
pub mod client;
mod commands;
pub mod config;
pub mod context;
mod convert;
mod credential;
#[cfg(feature = "dev")]
mod dev;
pub mod env;
pub mod error;
mod exec;
mod machine;
mod output;
mod request;
mod run;
mod signal;
mod span;
mod token;
mod usage;

pub use run::run;
