//! One command a file; the comment on its arguments is its help.

pub(crate) mod agent;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod cleanup;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod context;
#[cfg(feature = "dev")]
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod help;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod recover;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod status;
pub(crate) mod target;
pub(crate) mod token;
pub(crate) mod trace;
pub(crate) mod version;
