//! Sessions in the ledger: what is wanted held against what is seen.

mod create;
mod credential;
pub(in crate::store) mod end;
mod extend;
mod list;
mod read;
pub(in crate::store) mod record;

pub use create::{CreateRefused, Created, NewSession, Requester, create};
pub use credential::mark_credential_read;
pub use end::{EndOutcome, EndRequest, end};
pub use extend::{ExtendOutcome, ExtendRequest, Extension, extend, extension};
pub use list::{ListFilter, Page, list};
pub use read::{find, wait};
pub use record::{KeyKind, SessionRecord, Viewer};
