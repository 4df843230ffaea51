//! `POST /v1/agents`: gives an agent its targets and a token. Enrolling it again gives it another token.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gk_shared::wire::agent::{EnrollAgent, EnrolledAgent};

use crate::http::auth::User;
use crate::http::body::Body;
use crate::http::problem::ApiError;
use crate::http::tokens::create::life;
use crate::plane::Plane;
use crate::store::agents;

const DEFAULT_LIFE: u32 = 90 * 24 * 3600;

/// Enrols an agent
#[utoipa::path(post, path = "/agents", tag = "agents", request_body = EnrollAgent,
    responses((status = 201, description = "The agent, with its token shown this once", body = EnrolledAgent)))]
pub async fn enroll_agent(
    State(plane): State<Plane>,
    user: User,
    Body(mut body): Body<EnrollAgent>,
) -> Result<(StatusCode, Json<EnrolledAgent>), ApiError> {
    let life = life(body.ttl_seconds, DEFAULT_LIFE);
    body.targets.sort();
    body.targets.dedup();
    let enrolled = agents::enroll(&plane.ledger, user.origin(), &body, life).await?;
    Ok((StatusCode::CREATED, Json(enrolled)))
}
