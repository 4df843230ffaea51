//! Two promises with numbers of their own: kills by the thousand, and ends on time with any one part dead.

pub mod expiry;
pub mod kills;
