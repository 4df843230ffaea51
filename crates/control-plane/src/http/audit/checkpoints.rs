//! `GET /v1/audit/checkpoints`: where the log stands, to be kept elsewhere and compared later.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::audit::Checkpoint;

use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::audit;

/// Shows where the log stands
#[utoipa::path(get, path = "/audit/checkpoints", tag = "audit",
    responses((status = 200, description = "The newest checkpoint", body = Checkpoint)))]
pub async fn get_checkpoint(State(plane): State<Plane>, query: Query) -> Result<Json<Checkpoint>, ApiError> {
    query.finish()?;
    Ok(Json(audit::checkpoint(&plane.ledger).await?))
}
