//! What `gk` is set to, and where each setting comes from.
//!
//! Flags stand over the environment, that over the project's file, that over the user's, that over the system's. A
//! project's file may say target, role and ttl, and never an address or a token: whoever clones a repository must not
//! be sent elsewhere by it.

#[cfg(test)]
mod docs;
mod files;
mod paths;
mod settings;

pub use files::{ConfigError, Defaults, SystemFile, UserFile};
pub(crate) use files::{find_project, read_authorities, read_checked, write_private};
pub use paths::{Paths, PathsError};
pub(crate) use settings::{Setting, Settings, SettingsFlags};
