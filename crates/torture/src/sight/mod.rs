//! The oracle's eyes: connections of its own to ledger and target, which no wire and no fault of ours lies upon.

mod eye;
mod ledger;
mod target;

pub use eye::Eye;
pub use ledger::{books, ledger_sight};
pub use target::TargetEye;
