//! Sessions in the ledger: what is wanted held against what is seen.

mod create;
mod credential;
pub(in crate::store) mod end;
mod extend;
mod handoff;
mod list;
mod read;
pub(in crate::store) mod record;
mod refusal;
mod revoke;

pub use create::{Created, NewSession, Requester, create};
pub use credential::mark_credential_read;
pub(in crate::store) use credential::read_event;
pub use extend::{ExtendOutcome, ExtendRequest, Extension, extend, extension};
pub use handoff::{Handoff, Seat};
pub use list::{ListFilter, Page, list};
pub use read::{find, wait, wait_seated};
pub use record::{KeyKind, SessionRecord, Viewer};
pub use refusal::CreateRefused;
pub use revoke::{EndOutcome, EndRequest, end};
