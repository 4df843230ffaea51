//! Errors on their way out: one type for all handlers, written as RFC 9457 problem details.
//!
//! A handler's error carries no request id; [`super::request_id`] fills it in and writes the body, so that every
//! refusal, whichever layer made it, looks the same.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gk_shared::ids::RequestId;
use gk_shared::problem::{ErrorCode, Problem};

/// A refusal, with what the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    problem: Box<Problem>,
    retry_after_secs: Option<u64>,
}

impl ApiError {
    /// A refusal with this code, and what happened this time.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::new(code, detail)), retry_after_secs: None }
    }

    /// What is said of all that is not there, or not the caller's to see. `noun` is what was looked for.
    #[must_use]
    pub fn not_found(noun: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no such {noun}, or you may not see it"))
    }

    /// A failure that the caller can do nothing about; what happened goes into the log alone.
    #[must_use]
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(error), "request failed");
        Self::new(ErrorCode::Internal, "something went wrong on this side; the log has it under the request id")
    }

    /// The same under another code.
    #[must_use]
    pub fn with_code(self, code: ErrorCode) -> Self {
        Self::new(code, self.problem.detail)
    }

    /// The same with another next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = hint.into();
        self
    }

    /// The same, and when to come back.
    #[must_use]
    pub const fn retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.problem.code
    }

    /// What happened this time.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.problem.detail
    }
}

/// An error and its causes, outermost first.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gatekeeper\""));
        }
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, secs.into());
        }
        response.extensions_mut().insert(Unsent(self.problem));
        response
    }
}

/// A problem that waits for its request id.
#[derive(Debug, Clone)]
struct Unsent(Box<Problem>);

/// Writes the body of a refusal that [`ApiError`] made; other responses pass as they are.
#[must_use]
pub fn write_body(mut response: Response, request: RequestId) -> Response {
    let Some(Unsent(mut problem)) = response.extensions_mut().remove::<Unsent>() else { return response };
    problem.request_id = Some(request.to_string());
    let body = serde_json::to_vec(&problem).expect("a problem holds only texts and numbers");
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    Response::from_parts(parts, body.into())
}
