//! The HTTP API: one endpoint a file.

pub mod body;
pub mod problem;
