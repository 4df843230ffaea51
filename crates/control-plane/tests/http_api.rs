//! The HTTP API as its callers see it: a served control plane, a real Postgres for its ledger, a real HTTP client.
//!
//! The agent in these tests is a client of the API like any other; what a true one does on a target is tested with it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::needless_pass_by_value, reason = "`json!(...)` reads best where it is passed by value")]
#![allow(clippy::disallowed_methods, reason = "tests ask the machine for its time")]

#[path = "http_api/support.rs"]
mod support;

#[path = "http_api/access.rs"]
mod access;
#[path = "http_api/agents.rs"]
mod agents;
#[path = "http_api/bad_inputs.rs"]
mod bad_inputs;
#[path = "http_api/binary.rs"]
mod binary;
#[path = "http_api/catalog.rs"]
mod catalog;
#[path = "http_api/certificates.rs"]
mod certificates;
#[path = "http_api/credentials.rs"]
mod credentials;
#[path = "http_api/drain.rs"]
mod drain;
#[path = "http_api/handoff.rs"]
mod handoff;
#[path = "http_api/idempotency.rs"]
mod idempotency;
#[path = "http_api/lanes.rs"]
mod lanes;
#[path = "http_api/notary.rs"]
mod notary;
#[path = "http_api/receiver.rs"]
mod receiver;
#[path = "http_api/sessions.rs"]
mod sessions;
#[path = "http_api/sinks.rs"]
mod sinks;
#[path = "http_api/slow_clients.rs"]
mod slow_clients;
#[path = "http_api/tls.rs"]
mod tls;
