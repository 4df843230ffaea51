//! `POST /v1/tokens`: a token for a person or a service. It is shown this once.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::token::{CreateToken, CreatedToken, Scope};

use crate::http::auth::User;
use crate::http::body::Body;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::actors::{self, ActorKind, ActorSpec};
use crate::store::tokens::{self, NewToken};

const DEFAULT_LIFE: u32 = 12 * 3600;

/// How long a token shall work; its limits stand beside the type.
pub(crate) fn life(asked: Option<u32>, default: u32) -> Duration {
    Duration::from_secs(u64::from(asked.unwrap_or(default)))
}

fn scopes(asked: &[Scope]) -> Result<Vec<Scope>, ApiError> {
    if asked.contains(&Scope::Agent) {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "`scopes` may not have `agent`")
            .hint("Agents get their tokens when they are enrolled: POST /v1/agents."));
    }
    let mut scopes = asked.to_vec();
    scopes.sort();
    scopes.dedup();
    Ok(scopes)
}

/// An address of one line with one `@`; whether it works is for others to find out.
fn email(asked: Option<String>) -> Result<Option<String>, ApiError> {
    let good = |text: &String| {
        let parts: Vec<&str> = text.split('@').collect();
        parts.len() == 2
            && parts.iter().all(|part| !part.is_empty())
            && text.chars().all(|found| found.is_ascii_graphic())
    };
    match asked {
        Some(text) if !good(&text) => Err(ApiError::new(ErrorCode::InvalidText, "`email` is no e-mail address")),
        asked => Ok(asked),
    }
}

/// Makes a token
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = CreateToken,
    responses((status = 201, description = "The token, shown this once", body = CreatedToken)))]
pub async fn create_token(
    State(plane): State<Plane>,
    user: User,
    Body(body): Body<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiError> {
    if actors::is_reserved(&body.actor) {
        let detail = format!("`{}` is how the log names the control plane's own acts", body.actor);
        return Err(ApiError::new(ErrorCode::InvalidName, detail).hint("Choose another name for the actor."));
    }
    let scopes = scopes(&body.scopes)?;
    let life = life(body.ttl_seconds, DEFAULT_LIFE);
    let email = email(body.email)?;
    let kind = if body.service { ActorKind::Service } else { ActorKind::Human };
    let actor = ActorSpec { name: body.actor.clone(), kind, groups: body.groups, email };
    let made = tokens::create(&plane.ledger, user.origin(), &NewToken { actor, scopes: scopes.clone(), life }).await?;
    let answer = CreatedToken {
        token_id: made.id,
        actor: body.actor,
        scopes,
        token: made.token.into(),
        expires_at: made.expires_at,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}
