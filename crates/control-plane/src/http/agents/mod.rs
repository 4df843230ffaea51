//! `/v1/agents`: agents as admins see and enrol them.

pub mod drain;
pub mod enroll;
pub mod list;
pub mod revoke;
