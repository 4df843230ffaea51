//! `/v1/tokens`: who may call, kept by admins.

pub mod create;
pub mod list;
pub mod revoke;
