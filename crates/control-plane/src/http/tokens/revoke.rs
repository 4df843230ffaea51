//! `POST /v1/tokens/{id}/revoke`: refused from the next request on. May be repeated.

use axum::Json;
use axum::extract::State;
use gk_shared::ids::TokenId;
use serde::Serialize;

use crate::http::auth::User;
use crate::http::path::Named;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::tokens;

/// A token that no longer works.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokedToken {
    /// The token's id.
    token_id: TokenId,
}

/// Revokes a token
#[utoipa::path(post, path = "/tokens/{id}/revoke", tag = "tokens", params(("id" = TokenId, Path)),
    responses((status = 200, description = "It is revoked", body = RevokedToken)))]
pub async fn revoke_token(
    State(plane): State<Plane>,
    user: User,
    Named(id): Named<TokenId>,
) -> Result<Json<RevokedToken>, ApiError> {
    if tokens::revoke(&plane.ledger, user.origin(), id).await? {
        return Ok(Json(RevokedToken { token_id: id }));
    }
    Err(ApiError::not_found("token"))
}
