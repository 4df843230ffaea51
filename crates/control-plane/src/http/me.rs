//! `GET /v1/me`: who the caller is.

use axum::Json;
use gk_shared::wire::token::Me;

use super::auth::User;

/// Shows who you are
#[utoipa::path(get, path = "/me", tag = "tokens", responses((status = 200, description = "The caller", body = Me)))]
pub async fn me(user: User) -> Json<Me> {
    Json(Me {
        actor_id: user.actor,
        actor: user.name,
        groups: user.groups,
        token_id: user.token,
        scopes: user.scopes,
        expires_at: user.expires_at,
        ledger_time: user.now,
        version: crate::VERSION.to_owned(),
    })
}
