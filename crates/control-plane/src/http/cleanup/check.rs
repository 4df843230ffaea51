//! `GET /v1/cleanup`: what is left that should be gone, and the targets that nobody could look at.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use gk_shared::names::TargetName;
use gk_shared::wire::cleanup::CleanupReport;

use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::cleanup;

/// How long past its end a role may be before it is a finding.
const DEFAULT_LAG: Duration = Duration::from_secs(120);

/// Looks for roles past their end
#[utoipa::path(get, path = "/cleanup", tag = "cleanup",
    params(
        ("target" = Option<TargetName>, Query, description = "Only this target"),
        ("maxLag" = Option<String>, Query, pattern = "^[1-9][0-9]{0,2}[sm]$", description = "How long past its end a role may be; default 2m"),
    ),
    responses((status = 200, description = "Targets and findings", body = CleanupReport)))]
pub async fn check_cleanup(State(plane): State<Plane>, mut query: Query) -> Result<Json<CleanupReport>, ApiError> {
    let target: Option<TargetName> = query.take("target")?;
    let lag = query.time("maxLag")?.unwrap_or(DEFAULT_LAG);
    query.finish()?;
    let report = cleanup::check(&plane.ledger, target.as_ref(), lag).await?;
    if target.is_some() && report.targets.is_empty() {
        return Err(ApiError::not_found("target"));
    }
    Ok(Json(report))
}
