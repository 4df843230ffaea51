//! `GET /v1/tokens`: the newest tokens, never their text.

use axum::Json;
use axum::extract::State;
use gk_shared::wire::token::TokenList;

use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::store::tokens;

/// Lists tokens
#[utoipa::path(get, path = "/tokens", tag = "tokens",
    responses((status = 200, description = "Tokens, newest first", body = TokenList)))]
pub async fn list_tokens(State(plane): State<Plane>, query: Query) -> Result<Json<TokenList>, ApiError> {
    query.finish()?;
    Ok(Json(TokenList { tokens: tokens::list(&plane.ledger).await? }))
}
