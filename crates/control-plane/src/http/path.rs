//! The part of a path that names a thing.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use gk_shared::ids::{JobId, SessionId, TokenId};
use gk_shared::names::{ActorName, AgentName, PackName, TargetName};
use gk_shared::problem::ErrorCode;

use super::problem::ApiError;

/// The one thing that the path names, as its type reads it.
#[derive(Debug)]
pub struct Named<T>(pub T);

/// A thing that paths name.
pub trait InPath: FromStr<Err: Display> {
    /// What to say of a text that names none.
    const MALFORMED: ErrorCode;
}

macro_rules! in_path {
    ($($type:ty = $code:ident;)*) => { $(impl InPath for $type { const MALFORMED: ErrorCode = ErrorCode::$code; })* };
}
in_path! {
    SessionId = InvalidId;
    JobId = InvalidId;
    TokenId = InvalidId;
    TargetName = InvalidName;
    PackName = InvalidName;
    ActorName = InvalidName;
    AgentName = InvalidName;
}

impl<S: Send + Sync, T: InPath> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let malformed = |what: &dyn Display| ApiError::new(T::MALFORMED, what.to_string());
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| malformed(&"the path is not percent-encoded UTF-8"))?;
        let text = params.iter().next().map_or("", |(_, text)| text);
        text.parse().map(Self).map_err(|error| malformed(&error))
    }
}
