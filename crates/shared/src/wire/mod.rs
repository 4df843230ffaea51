//! What travels between `gk`, the control plane and agents, as JSON in camelCase.
//!
//! Requests refuse unknown fields; answers may grow, so readers ignore what they do not know.

pub mod agent;
pub mod audit;
pub mod catalog;
pub mod cleanup;
pub mod job;
pub mod recovery;
pub mod session;
pub mod status;
pub mod token;
