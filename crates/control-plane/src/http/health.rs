//! Whether this process lives, and whether it can serve.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::recovery::LedgerMode;
use serde::Serialize;

use super::problem::ApiError;
use crate::plane::Plane;

/// That all is well, in a word.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok`.
    status: &'static str,
    /// Version of this process.
    version: &'static str,
    /// `observe` while the ledger is older than what was seen outside of it: sessions end and none are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<LedgerMode>,
}

impl Health {
    const fn ok() -> Self {
        Self { status: "ok", version: crate::VERSION, mode: None }
    }
}

/// Whether the process lives
///
/// Asks nobody, so that a ledger that is down does not get healthy processes restarted.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "It lives", body = Health)))]
pub async fn livez() -> Json<Health> {
    Json(Health::ok())
}

/// Whether the process can serve
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, description = "It can", body = Health)))]
pub async fn readyz(State(plane): State<Plane>) -> Result<Json<Health>, ApiError> {
    plane.ledger.now().await?;
    let mode = if plane.notary.may_grant().is_ok() { LedgerMode::Normal } else { LedgerMode::Observe };
    Ok(Json(Health { mode: Some(mode), ..Health::ok() }))
}

/// The same as `/readyz`, under the name that many tools try first
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, description = "It can", body = Health)))]
pub async fn health(plane: State<Plane>) -> Result<Json<Health>, ApiError> {
    readyz(plane).await
}
