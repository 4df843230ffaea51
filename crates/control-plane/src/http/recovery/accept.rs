//! `POST /v1/recovery/accept`: an admin takes the ledger as it is.

use axum::Json;
use axum::extract::State;
use gk_shared::problem::ErrorCode;
use gk_shared::reason::Reason;
use gk_shared::wire::recovery::{AcceptRecovery, AcceptedRecovery};

use crate::http::auth::User;
use crate::http::body::Body;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::recovery;

/// Takes the ledger as it is: sessions are made again
///
/// Sessions that it does not know are left until their own end, or ended with `endUnknown`.
#[utoipa::path(post, path = "/recovery/accept", tag = "recovery", request_body = AcceptRecovery,
    responses((status = 200, description = "What was done", body = AcceptedRecovery)))]
pub async fn accept_recovery(
    State(plane): State<Plane>,
    user: User,
    Body(body): Body<AcceptRecovery>,
) -> Result<Json<AcceptedRecovery>, ApiError> {
    let reason: Reason = body.reason.parse()?;
    let done = recovery::accept(&plane.ledger, user.origin(), (&reason, body.end_unknown)).await?;
    plane.notary.refresh(&plane.ledger).await?;
    done.map(Json).ok_or_else(|| ApiError::new(ErrorCode::Conflict, "nothing is ahead of the ledger"))
}
