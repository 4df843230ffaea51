//! The `Idempotency-Key` header: what makes a repeat a repeat.

use axum::http::HeaderMap;
use gk_shared::idempotency::IdempotencyKey;
use gk_shared::problem::ErrorCode;
use gk_shared::seal::hex;

use super::auth::User;
use super::problem::ApiError;
use crate::plane::Plane;

/// The header's name.
pub const HEADER: &str = "idempotency-key";

/// The caller's key. A person at a terminal may leave it out; a service repeats by itself and may not.
///
/// # Errors
/// It is malformed, given twice, or missing where it is needed.
pub fn key(plane: &Plane, user: &User, headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    let mut values = headers.get_all(HEADER).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(String::from_utf8_lossy(value.as_bytes()).parse::<IdempotencyKey>()?),
        (None, _) if user.is_service => {
            Err(ApiError::new(ErrorCode::IdempotencyKeyRequired, "a service sends an Idempotency-Key with each create"))
        }
        (None, _) => Ok(fresh(plane)),
        (Some(_), Some(_)) => {
            Err(ApiError::new(ErrorCode::InvalidIdempotencyKey, "the Idempotency-Key is given twice"))
        }
    }
}

/// A key that nobody else has.
#[must_use]
pub fn fresh(plane: &Plane) -> IdempotencyKey {
    hex(&plane.ledger.random_bytes::<16>()).parse().expect("32 hex digits are a key")
}
