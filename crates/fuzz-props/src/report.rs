//! What agents and callers send, through the control plane's own strict reader.

use gk_control_plane::http::body::{Input, read_object};
use gk_shared::wire::agent::{EnrollAgent, Heartbeat, MAX_ROLES, Observation};
use gk_shared::wire::job::{ClaimJobs, CompleteJob, RenewJob};
use gk_shared::wire::session::{CreateSession, ExtendSession};
use gk_shared::wire::token::CreateToken;
use serde::Serialize;
use serde_json::Value;

use crate::job::reads_back;

/// Bodies through the strict reader.
pub fn check(bytes: &[u8]) {
    if let Some(report) = one::<CompleteJob>(bytes) {
        assert!(report.generation >= 1 && report.lease_token.len() <= 64);
    }
    if let Some(seen) = one::<Observation>(bytes) {
        assert!(seen.roles.len() <= MAX_ROLES && seen.dropped.len() <= MAX_ROLES);
    }
    if let Some(beat) = one::<Heartbeat>(bytes) {
        assert!((1..=64).contains(&beat.version.len()) && beat.targets.len() <= 1000);
    }
    if let Some(claim) = one::<ClaimJobs>(bytes) {
        assert!(claim.create_slots <= 256 && claim.revoke_slots <= 256 && claim.wait_ms <= 30_000);
    }
    if let Some(renewal) = one::<RenewJob>(bytes) {
        assert!(renewal.generation >= 1);
    }
    if let Some(wanted) = one::<CreateSession>(bytes) {
        assert!(wanted.max_connections.is_none_or(|most| (1..=50).contains(&most)));
    }
    one::<ExtendSession>(bytes);
    one::<EnrollAgent>(bytes);
    one::<CreateToken>(bytes);
}

/// Reads a body as the control plane does. What passes reads back, and with one more field it does not pass.
fn one<T: Input + Serialize>(bytes: &[u8]) -> Option<T> {
    match read_object::<T>(bytes) {
        Ok(value) => {
            let Value::Object(mut fields) = reads_back(&value) else { panic!("a body is an object") };
            fields.insert("oddOneOut".into(), 1.into());
            let more = serde_json::to_vec(&fields).expect("is JSON");
            assert!(read_object::<T>(&more).is_err(), "an unknown field was overlooked");
            Some(value)
        }
        Err(error) => {
            assert!(!error.code().is_empty());
            None
        }
    }
}
