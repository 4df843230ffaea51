//! `/v1/cleanup`: is anything left that should be gone?

pub mod check;
pub mod run;
