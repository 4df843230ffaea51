//! The one place where an error of the inside becomes an answer for the outside.
//!
//! No arm is a catch-all over our own enums: a new variant has to choose. What a caller may not see is the same 404 as
//! what is not there.

use gk_shared::idempotency::IdempotencyKeyError;
use gk_shared::problem::ErrorCode;
use gk_shared::reason::{ReasonError, TicketError};
use gk_shared::seal::SealError;
use gk_shared::ttl::TtlError;

use crate::http::problem::{ApiError, chain};
use crate::policy::Denied;
use crate::store::StoreError;
use crate::store::sessions::CreateRefused;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error.code() {
            ErrorCode::Internal => Self::internal(&error),
            code => {
                tracing::error!(error = %chain(&error), code = code.as_str(), "the ledger does not answer as it should");
                Self::new(code, error.to_string()).retry_after(1)
            }
        }
    }
}

impl From<CreateRefused> for ApiError {
    fn from(refused: CreateRefused) -> Self {
        let text = refused.to_string();
        match refused {
            CreateRefused::UnknownTarget => Self::not_found("target"),
            CreateRefused::TokenEnded => Self::new(ErrorCode::TokenInvalid, text),
            CreateRefused::LedgerBehind(_) => Self::new(ErrorCode::LedgerRestored, text),
            CreateRefused::ClockSkew(_) => Self::new(ErrorCode::TargetUnreachable, text),
            CreateRefused::NoAgent => Self::new(ErrorCode::NoAgent, text).retry_after(5),
            CreateRefused::PackRefused(_) => Self::new(ErrorCode::PackRefused, text),
            CreateRefused::IdempotencyMismatch => Self::new(ErrorCode::IdempotencyMismatch, text),
            CreateRefused::Store(error) => error.into(),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Target(_) => Self::not_found("target"),
            Denied::Role { .. } => Self::new(ErrorCode::RoleNotAllowed, denied.to_string()),
            Denied::Ttl(error) => error.into(),
            Denied::Reason(error) => error.into(),
        }
    }
}

impl From<TtlError> for ApiError {
    fn from(error: TtlError) -> Self {
        Self::new(ErrorCode::InvalidTtl, error.to_string())
    }
}

impl From<ReasonError> for ApiError {
    fn from(error: ReasonError) -> Self {
        let code = match error {
            ReasonError::Required => ErrorCode::ReasonRequired,
            ReasonError::TooLong(_) => ErrorCode::ReasonTooLong,
            ReasonError::Control(_) => ErrorCode::InvalidText,
        };
        Self::new(code, error.to_string())
    }
}

impl From<TicketError> for ApiError {
    fn from(error: TicketError) -> Self {
        Self::new(ErrorCode::InvalidText, error.to_string())
    }
}

impl From<IdempotencyKeyError> for ApiError {
    fn from(error: IdempotencyKeyError) -> Self {
        Self::new(ErrorCode::InvalidIdempotencyKey, error.to_string())
    }
}

impl From<SealError> for ApiError {
    fn from(error: SealError) -> Self {
        Self::new(ErrorCode::InvalidPublicKey, error.to_string())
    }
}
