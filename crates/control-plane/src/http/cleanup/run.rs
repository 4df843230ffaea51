//! `POST /v1/cleanup/run`: tries again, now, to end what should be gone.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::cleanup::{CleanupStarted, RunCleanup};

use crate::http::auth::User;
use crate::http::body::OptionalBody;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::cleanup;

/// Tries again to remove what should be gone
#[utoipa::path(post, path = "/cleanup/run", tag = "cleanup", request_body = Option<RunCleanup>,
    responses((status = 200, description = "The sessions whose end was queued", body = CleanupStarted)))]
pub async fn run_cleanup(
    State(plane): State<Plane>,
    user: User,
    OptionalBody(body): OptionalBody<RunCleanup>,
) -> Result<Json<CleanupStarted>, ApiError> {
    Ok(Json(cleanup::run(&plane.ledger, user.origin(), &body).await?))
}
