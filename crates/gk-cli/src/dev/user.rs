//! The person at this machine: their token, and the context that leads their `gk` here.

use super::error::DevError;
use super::services::Parts;
use crate::context::{Context, ContextStore, MakeCurrent, TokenStore};
use crate::env::Env;
use gk_shared::problem::ErrorCode;
use std::path::PathBuf;

/// The context that `gk dev` writes.
pub(crate) const CONTEXT: &str = "dev";

/// What was written for the person.
pub(crate) struct User {
    /// Whether `gk` comes here by itself, or only with `--context dev`.
    pub(crate) context_is_current: bool,
    /// Where their token lies.
    pub(crate) token_file: PathBuf,
}

/// Where contexts are kept; asked for before anything is started, because without it nobody could use what runs.
pub(crate) fn contexts(env: &Env) -> Result<ContextStore, DevError> {
    let store = ContextStore::open(env).map_err(failed)?;
    store.read().map_err(failed)?;
    Ok(store)
}

/// Writes the context `dev` with its token; it becomes the current one where there is none.
pub(crate) fn introduce(parts: &Parts, store: &ContextStore) -> Result<User, DevError> {
    let name = CONTEXT.parse().expect("`dev` is a name of three letters");
    let context = Context::new(name, parts.address().clone(), TokenStore::File);
    store.put_token_file(&context, parts.user_token()).map_err(failed)?;
    store.put(&context, MakeCurrent::IfNone).map_err(failed)?;
    let current = store.read().map_err(failed)?.current;
    Ok(User { context_is_current: current.as_deref() == Some(CONTEXT), token_file: store.paths().token_file(CONTEXT) })
}

fn failed(error: crate::context::ContextError) -> DevError {
    DevError::part("the context for gk", ErrorCode::ConfigInvalid)(error)
}
