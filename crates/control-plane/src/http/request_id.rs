//! The outermost layer: one request id, one span, one line in the log, one body for every refusal.
//!
//! Always holds: every answer has an `X-Request-Id`, every log line of a request carries it, and a panic in a handler
//! is an answer like any other failure.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use gk_shared::ids::RequestId;
use gk_shared::problem::ErrorCode;
use tracing::Instrument as _;

use super::metrics::route_label;
use super::problem::{ApiError, write_body};
use crate::plane::Plane;

/// The header, in both directions.
pub const REQUEST_ID: &str = "x-request-id";
/// Names the control plane's version in every answer, so that a `gk` that does not understand one can say why.
pub const VERSION: &str = "x-gatekeeper-version";

/// Gives the request its id, runs it, and finishes the answer.
pub async fn layer(State(plane): State<Plane>, mut request: Request, next: Next) -> Response {
    let id = given(&request).unwrap_or_else(|| plane.machine.request_id());
    let route = route_label(request.extensions().get::<MatchedPath>());
    let method = request.method().clone();
    let span = tracing::info_span!("request", request_id = %id, %method, %route);
    request.extensions_mut().insert(id);
    let began = Instant::now();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let _in_span = span.enter();
    let mut response = write_body(answer.unwrap_or_else(|_| panicked()), id);
    let status = response.status().as_u16();
    plane.metrics.answered(&method, &route, status, began.elapsed());
    tracing::info!(status, ms = began.elapsed().as_secs_f64() * 1000.0, "answered");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::try_from(id.to_string()).expect("an id is plain ASCII"));
    headers.insert(VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The id that the caller sent, if it is exactly one and well formed.
fn given(request: &Request) -> Option<RequestId> {
    let mut values = request.headers().get_all(REQUEST_ID).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()?.parse().ok()
}

fn panicked() -> Response {
    tracing::error!("a handler panicked");
    ApiError::new(ErrorCode::Internal, "something went wrong on this side; the log has it under the request id")
        .into_response()
}
