//! The token that calls are made with: where it is found, and where it is kept.
//!
//! Looked for in `GK_TOKEN_FILE`, then `GK_TOKEN`, then where the context keeps it. Every refusal says which was used.

mod file;
mod keyring;

use std::path::PathBuf;

use gk_shared::secret::BearerToken;

use crate::config::Paths;
use crate::context::{Context, ContextName, TokenStore};
use crate::env::Env;

pub(crate) use keyring::{forget as forget_in_keyring, save as save_in_keyring};

/// Where a token was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// The file that `GK_TOKEN_FILE` names.
    NamedFile(PathBuf),
    /// The variable `GK_TOKEN`.
    Variable,
    /// The keyring, under this context.
    Keyring(ContextName),
    /// The file of this context.
    ContextFile(PathBuf),
}

impl TokenSource {
    /// One word for programs.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::NamedFile(_) => "GK_TOKEN_FILE",
            Self::Variable => "GK_TOKEN",
            Self::Keyring(_) => "keyring",
            Self::ContextFile(_) => "file",
        }
    }
}

impl std::fmt::Display for TokenSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NamedFile(path) => write!(out, "the file {} (GK_TOKEN_FILE)", path.display()),
            Self::Variable => out.write_str("the variable GK_TOKEN"),
            Self::Keyring(context) => write!(out, "the keyring (context {context})"),
            Self::ContextFile(path) => write!(out, "the file {}", path.display()),
        }
    }
}

/// A token and where it was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The token.
    pub(crate) token: BearerToken,
    /// Where it was found.
    pub(crate) source: TokenSource,
}

/// Why a token cannot be used. Never says what stands in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// A file that is none, or holds none.
    #[error("the token file {} cannot be used: {cause}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// `GK_TOKEN` holds none.
    #[error("GK_TOKEN: {0}")]
    Variable(String),
    /// What was typed or piped in is none.
    #[error("{0}")]
    Typed(gk_shared::secret::TokenError),
    /// The keyring does not give it out.
    #[error("the keyring cannot be used: {0}")]
    Keyring(String),
}

/// Looks for the token of this run.
pub(crate) fn find(env: &Env, paths: Option<&Paths>, context: Option<&Context>) -> Result<Option<Found>, TokenError> {
    if let Some(path) = env.path("GK_TOKEN_FILE") {
        return file::read(&path).map(|token| Some(Found { token, source: TokenSource::NamedFile(path) }));
    }
    if let Some(text) = env.os("GK_TOKEN") {
        let text = text.to_str().ok_or_else(|| TokenError::Variable("it is not valid text".to_owned()))?;
        let token = BearerToken::parse(text.trim()).map_err(|error| TokenError::Variable(error.to_string()))?;
        return Ok(Some(Found { token, source: TokenSource::Variable }));
    }
    let (Some(context), Some(paths)) = (context, paths) else { return Ok(None) };
    match context.token_store() {
        TokenStore::None => Ok(None),
        TokenStore::Keyring => {
            let source = TokenSource::Keyring(context.name().clone());
            Ok(keyring::load(context.name())?.map(|token| Found { token, source }))
        }
        TokenStore::File => {
            let path = paths.token_file(&context.name().to_string());
            if !path.exists() {
                return Ok(None);
            }
            file::read(&path).map(|token| Some(Found { token, source: TokenSource::ContextFile(path) }))
        }
    }
}
