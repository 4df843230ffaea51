//! What is said of paths and methods that do not exist.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use gk_shared::problem::ErrorCode;

use super::problem::ApiError;
use super::query::MAX_WAIT;
use crate::plane::Plane;

/// No such path.
pub async fn not_found() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no such path").hint("`/openapi.json` lists the paths there are.")
}

/// The path exists and does not answer to this method.
pub async fn method_not_allowed() -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed, "this path does not answer to this method")
}

/// Ends a request that takes too long. What the caller asked to wait for is not counted.
pub async fn time_limit(State(plane): State<Plane>, request: Request, next: Next) -> Response {
    let uri = request.uri();
    let waits = uri.path().ends_with("/agent/jobs/claim") || uri.query().is_some_and(|query| query.contains("wait="));
    let limit = plane.limits.request + if waits { MAX_WAIT } else { std::time::Duration::ZERO };
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let detail = format!("the request took longer than {} s", limit.as_secs());
        ApiError::new(ErrorCode::RequestTimeout, detail).into_response()
    })
}
