//! Values on the command line and in the environment, checked by the shared types before anything is sent.

use std::fmt;
use std::str::FromStr;

use gk_shared::idempotency::IdempotencyKeyError;
use gk_shared::ids::IdError;
use gk_shared::names::NameError;
use gk_shared::problem::ErrorCode;
use gk_shared::reason::{ReasonError, TicketError};
use gk_shared::ttl::TtlError;

use crate::error::CliError;

/// An error of a shared type, with its stable word.
pub(crate) trait Coded: fmt::Display {
    /// The code that it is shown with.
    fn code(&self) -> ErrorCode;
}

macro_rules! coded {
    ($($error:ty),+) => {$(
        impl Coded for $error {
            fn code(&self) -> ErrorCode {
                <$error>::code(self).parse().unwrap_or(ErrorCode::Usage)
            }
        }
    )+};
}

coded!(TtlError, NameError, IdError, ReasonError, TicketError, IdempotencyKeyError);

impl Coded for crate::span::SpanError {
    fn code(&self) -> ErrorCode {
        ErrorCode::Usage
    }
}

impl Coded for crate::context::ContextNameError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidName
    }
}

impl Coded for gk_shared::session::UnknownWord {
    fn code(&self) -> ErrorCode {
        ErrorCode::Usage
    }
}

/// What is wrong with a value, on its way through the parser of the command line.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Its code.
    pub(crate) code: ErrorCode,
    message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// Reads a value of any shared type.
pub(crate) fn checked<T: FromStr>(text: &str) -> Result<T, Fault>
where
    T::Err: Coded,
{
    text.parse().map_err(|error: T::Err| Fault { code: error.code(), message: error.to_string() })
}

/// Reads an id as a pipe may deliver it, with a line end.
pub(crate) fn checked_id<T: FromStr>(text: &str) -> Result<T, Fault>
where
    T::Err: Coded,
{
    let text = text.strip_suffix('\n').unwrap_or(text);
    checked(text.strip_suffix('\r').unwrap_or(text))
}

/// The same fault as a failure of its own, for values that do not come as flags.
pub(crate) fn fault(of: &str, error: &impl Coded) -> CliError {
    CliError::new(error.code(), format!("{of}{error}"))
}
