//! `/v1/audit`: the log, for auditors.

pub mod checkpoints;
pub mod events;
