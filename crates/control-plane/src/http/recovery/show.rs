//! `GET /v1/recovery`: whether anything outside is ahead of the ledger.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::recovery::Recovery;

use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::recovery;

/// Shows what is ahead of the ledger
///
/// While something is, sessions end and none are made. The sessions listed are on targets and not in the ledger.
#[utoipa::path(get, path = "/recovery", tag = "recovery",
    responses((status = 200, description = "Mode, findings, unknown sessions", body = Recovery)))]
pub async fn show_recovery(State(plane): State<Plane>) -> Result<Json<Recovery>, ApiError> {
    Ok(Json(recovery::show(&plane.ledger).await?))
}
