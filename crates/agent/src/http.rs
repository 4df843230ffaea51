//! The agent's own HTTP: `/livez`, `/readyz`, `/metrics`. On the loopback interface unless the configuration says else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gk_edge::accept::{self, Bounds, Entrance};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::heartbeat::Vitals;
use crate::metrics::Metrics;

#[derive(Clone)]
struct Shared {
    vitals: Arc<Vitals>,
    metrics: Arc<Metrics>,
}

/// What callers may cost: a probe, a scraper, and whoever looks.
const BOUNDS: Bounds = Bounds { connections: 64, first_byte: Duration::from_secs(5), headers: Duration::from_secs(10) };

/// Answers until `stop` is cancelled.
pub(crate) async fn serve(listener: TcpListener, vitals: Arc<Vitals>, metrics: Arc<Metrics>, stop: CancellationToken) {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(Shared { vitals, metrics });
    accept::serve(Entrance { listener, tls: None }, router, BOUNDS, stop).await;
}

/// Ready: the control plane answers, and at least one target does.
async fn readyz(State(shared): State<Shared>) -> Response {
    let plane = shared.vitals.plane_answers(Instant::now());
    let targets = shared.vitals.targets();
    let ready = plane && targets.values().any(Option::is_none);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let targets: serde_json::Map<_, _> = targets
        .into_iter()
        .map(|(name, error)| (name.to_string(), error.map_or("ok".into(), serde_json::Value::from)))
        .collect();
    let plane = if plane { "ok" } else { "does not answer" };
    (status, axum::Json(serde_json::json!({"ready": ready, "controlPlane": plane, "targets": targets}))).into_response()
}

async fn metrics_text(State(shared): State<Shared>) -> Response {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match shared.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
