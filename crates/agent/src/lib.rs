//! The agent beside the databases: it mints, ends and watches sessions on its targets.

pub mod bootstrap;
