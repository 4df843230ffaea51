//! Settings of the control plane: read once, checked whole, then only types.

mod audit;
mod files;
mod keys;
mod ledger;
mod ledger_table;
mod limits;
mod log;
mod plane;
mod sinks;
#[cfg(test)]
mod tests;
mod tls;

pub use files::{FileError, read_secret, read_settings};
pub use keys::{Fault, duration};
pub(crate) use keys::{Faults, Keys};
pub use ledger::{LedgerAddressError, LedgerConfig, LedgerParts};
pub use limits::Limits;
pub use log::{LogConfig, LogFormat};
pub use plane::{ConfigError, DEFAULT_PORT, Environment, PlaneConfig};
pub use tls::{AgentAuthority, PlainHttp};
