//! `GET /v1/status`: the control plane at a glance.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::status::Status;

use super::problem::ApiError;
use crate::plane::Plane;
use crate::store::status as store;

/// Shows how things are
#[utoipa::path(get, path = "/status", tag = "health",
    responses((status = 200, description = "Numbers", body = Status)))]
pub async fn status(State(plane): State<Plane>) -> Result<Json<Status>, ApiError> {
    Ok(Json(store::status(&plane.ledger, crate::VERSION).await?))
}
