//! `GET /v1/audit/checkpoints`: where the log stands, to be kept elsewhere and compared later.

use axum::Json;
use axum::extract::State;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::audit::Checkpoint;

use crate::http::problem::{ApiError, chain};
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::audit;

/// Shows where the log stands
///
/// With a key it is the newest signed checkpoint. Keep it: a later log that does not continue it was tampered with.
#[utoipa::path(get, path = "/audit/checkpoints", tag = "audit",
    params(
        ("from" = Option<i64>, Query, description = "Size of the checkpoint that the caller holds: the answer proves that it continues that one"),
        ("fresh" = Option<bool>, Query, description = "Sign a new one first, over everything that is committed by now"),
    ),
    responses((status = 200, description = "The newest checkpoint", body = Checkpoint)))]
pub async fn get_checkpoint(State(plane): State<Plane>, mut query: Query) -> Result<Json<Checkpoint>, ApiError> {
    let (from, fresh) = (asked(&mut query)?, query.flag("fresh")?);
    query.finish()?;
    if fresh {
        super::events::show_all(&plane).await;
        if let Err(error) = plane.notary.sign(&plane.ledger).await {
            // The one before still says something.
            tracing::warn!(error = %chain(&error), "no fresh checkpoint could be signed");
        }
    }
    answer(&plane, from).await
}

/// The size that the caller holds a checkpoint of.
pub(in crate::http) fn asked(query: &mut Query) -> Result<Option<i64>, ApiError> {
    let from: Option<i64> = query.take("from")?;
    match from {
        Some(size) if size < 0 => Err(ApiError::new(ErrorCode::InvalidQuery, "`from`: a size is never negative")),
        from => Ok(from),
    }
}

/// The newest checkpoint, with its proof.
pub(in crate::http) async fn answer(plane: &Plane, from: Option<i64>) -> Result<Json<Checkpoint>, ApiError> {
    Ok(Json(audit::checkpoint(&plane.ledger, from).await?))
}
