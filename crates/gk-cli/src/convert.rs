//! How the failures of the parts become what is shown: one place that knows all of them.

use gk_shared::exit::ExitCode;
use gk_shared::problem::{ErrorCode, Problem};
use gk_shared::wire::session::{SessionFailure, SessionView};

use crate::client::{AddressError, CallError, ClientError};
use crate::config::{ConfigError, PathsError};
use crate::context::ContextError;
use crate::env::NotText;
use crate::error::CliError;
use crate::token::TokenError;

/// Version of this `gk`.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

impl From<NotText> for CliError {
    fn from(error: NotText) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<PathsError> for CliError {
    fn from(error: PathsError) -> Self {
        Self::new(ErrorCode::ConfigInvalid, error.to_string())
            .next("Set HOME, or GK_CONFIG_DIR and GK_STATE_DIR.")
            .exit_as(ExitCode::Failure)
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::Unreadable { .. } | ConfigError::Invalid { .. } => {
                Self::new(ErrorCode::ConfigInvalid, error.to_string()).next("Mend what the message names.")
            }
            ConfigError::Unsafe { .. } => Self::new(ErrorCode::UnsafeConfig, error.to_string()),
            ConfigError::Unwritable { .. } => {
                Self::new(ErrorCode::OutputFailed, error.to_string()).next("Make the place writable, or free the disk.")
            }
        }
    }
}

impl From<ContextError> for CliError {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Paths(error) => error.into(),
            ContextError::File(error) => error.into(),
        }
    }
}

impl From<TokenError> for CliError {
    fn from(error: TokenError) -> Self {
        let code = match &error {
            TokenError::File { .. } => ErrorCode::BadTokenFile,
            TokenError::Variable(_) | TokenError::Typed(_) => ErrorCode::TokenInvalid,
            TokenError::Keyring(_) => ErrorCode::NotLoggedIn,
        };
        let shown = Self::new(code, error.to_string());
        match error {
            TokenError::Keyring(_) => shown.next("Unlock the keyring, or `gk login --with-token --store file < FILE`."),
            TokenError::File { .. } | TokenError::Variable(_) | TokenError::Typed(_) => shown,
        }
    }
}

/// An address that cannot be used; `of` says where it stands.
pub(crate) fn from_address(error: &AddressError, of: &str) -> CliError {
    let code = match error {
        AddressError::Insecure(_) => ErrorCode::InsecureUrl,
        AddressError::Malformed | AddressError::Extra => ErrorCode::Usage,
    };
    let shown = CliError::new(code, format!("{of}: {error}"));
    match error {
        AddressError::Insecure(_) => shown,
        AddressError::Malformed | AddressError::Extra => {
            shown.next("Write the address with its scheme, host and port.")
        }
    }
}

impl From<CallError> for CliError {
    fn from(CallError { error, request }: CallError) -> Self {
        from_client(error).request(Some(request))
    }
}

/// A failed call.
fn from_client(error: ClientError) -> CliError {
    match error {
        ClientError::Refused { problem, retry_after } => from_problem(*problem, retry_after),
        ClientError::Unreachable { address, cause } => {
            CliError::new(ErrorCode::ControlPlaneUnreachable, format!("{address} does not answer")).why(cause)
        }
        ClientError::Timeout { address } => {
            CliError::new(ErrorCode::ControlPlaneUnreachable, format!("{address} did not answer in time"))
        }
        ClientError::Untrusted { address, fault } => {
            CliError::new(ErrorCode::TlsUntrusted, format!("{address} is not trusted: {fault}"))
        }
        ClientError::Redirect { address, to } => {
            CliError::new(ErrorCode::UnexpectedRedirect, format!("{address} wants to send us to {to}"))
        }
        ClientError::NotOurs { address, status, server } => {
            let server = server.unwrap_or_else(|| "a version that it does not tell".to_owned());
            CliError::new(
                ErrorCode::VersionMismatch,
                format!("{address} answered with status {status} in a form that gk does not know"),
            )
            .why(format!("this is gk {VERSION}; the server is {server}, or no control plane at all"))
        }
        ClientError::Setup(_) => CliError::new(ErrorCode::Internal, error.to_string()),
        ClientError::Sealed(error) => CliError::new(ErrorCode::CredentialGone, error.to_string()),
        ClientError::NotProvided(view) => not_provided(&view),
        ClientError::NotReady(view) => {
            CliError::new(ErrorCode::WaitTimeout, format!("session {} is not ready yet", view.session_id))
        }
    }
}

fn from_problem(problem: Problem, retry_after: Option<u64>) -> CliError {
    let detail = problem.detail;
    let shown = match problem.code.parse::<ErrorCode>() {
        Ok(code) => CliError::new(code, detail),
        Err(_) => CliError::foreign(problem.code, exit_for(problem.status), problem.retryable, detail),
    };
    let next = match retry_after {
        Some(secs) => format!("Repeat after {secs}s. {}", problem.hint),
        None => problem.hint,
    };
    shown.why(problem.title).next(next)
}

/// The exit code for a code of a newer control plane, by its status.
fn exit_for(status: u16) -> ExitCode {
    match status {
        401 => ExitCode::NotLoggedIn,
        403 => ExitCode::Denied,
        404 | 410 => ExitCode::NotFound,
        409 => ExitCode::Conflict,
        429 | 502..=504 => ExitCode::Unavailable,
        400 | 405..=422 => ExitCode::Usage,
        _ => ExitCode::Failure,
    }
}

/// A session that ended instead of getting ready.
pub(crate) fn not_provided(view: &SessionView) -> CliError {
    let id = view.session_id;
    match &view.error {
        Some(SessionFailure { code, message, retryable }) => {
            let what = format!("session {id} failed: {message}");
            match code.parse::<ErrorCode>() {
                Ok(code) => CliError::new(code, what).why(code.meaning()),
                Err(_) => CliError::foreign(code.clone(), ExitCode::Failure, *retryable, what),
            }
        }
        None => {
            let by = view.ended_by.as_deref().map(|who| format!(" by {who}")).unwrap_or_default();
            CliError::new(ErrorCode::SessionEnded, format!("session {id} is {}{by} before it was ready", view.status))
        }
    }
}
