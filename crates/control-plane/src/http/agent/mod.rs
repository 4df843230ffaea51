//! `/v1/agent`: what agents ask and report. They dial out, so every exchange is a request of theirs.

pub mod certificate;
pub mod checkpoint;
pub mod claim;
pub mod complete;
pub mod heartbeat;
pub mod me;
pub mod observe;
pub mod renew;
