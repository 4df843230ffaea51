//! `GET /v1/status`: the control plane at a glance.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::status::Status;
use gk_shared::wire::token::Scope;

use super::auth::User;
use super::problem::ApiError;
use crate::plane::Plane;
use crate::store::{sinks, status as store};

/// Shows how things are
#[utoipa::path(get, path = "/status", tag = "health",
    responses((status = 200, description = "Numbers", body = Status)))]
pub async fn status(State(plane): State<Plane>, user: User) -> Result<Json<Status>, ApiError> {
    let mut status = store::status(&plane.ledger, crate::VERSION).await?;
    if user.has(Scope::Admin) || user.has(Scope::Auditor) {
        status.audit_sinks = sinks::gauges(&plane.ledger, &plane.sinks).await?;
    }
    Ok(Json(status))
}
