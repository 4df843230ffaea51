//! The HTTP API: one endpoint a file, one table of routes, one way to refuse.
//!
//! A request passes the request-id layer, the time limit and the door of its group (token, rate, scope) before a handler
//! sees it. Handlers read as policy, then store; SQL and transactions live in [`crate::store`] alone.

pub mod access;
pub mod actors;
pub mod agent;
pub mod agents;
pub mod audit;
pub mod auth;
pub mod body;
pub mod cleanup;
pub mod fallback;
pub mod familiar;
pub mod health;
pub mod idempotency;
pub mod me;
pub mod metrics;
pub mod openapi;
pub mod packs;
pub mod path;
pub mod problem;
pub mod query;
pub mod rates;
pub mod recovery;
pub mod request_id;
pub mod router;
pub mod sessions;
pub mod status;
pub mod targets;
pub mod tokens;
