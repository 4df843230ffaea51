//! `POST /v1/agents`: gives an agent its targets and a token. Enrolling it again gives it another token.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::agent::{AgentIdentityKind, EnrollAgent, EnrolledAgent};

use crate::http::agent::certificate::no_authority;
use crate::http::auth::User;
use crate::http::body::Body;
use crate::http::problem::ApiError;
use crate::http::tokens::create::life;
use crate::plane::Plane;
use crate::store::agents;

const DEFAULT_LIFE: u32 = 90 * 24 * 3600;
/// A one-time token is used at once, or not by whom it is for.
const DEFAULT_ENROLMENT_LIFE: u32 = 3600;

/// Enrols an agent
#[utoipa::path(post, path = "/agents", tag = "agents", request_body = EnrollAgent,
    responses((status = 201, description = "The agent, with its token shown this once", body = EnrolledAgent)))]
pub async fn enroll_agent(
    State(plane): State<Plane>,
    user: User,
    Body(mut body): Body<EnrollAgent>,
) -> Result<(StatusCode, Json<EnrolledAgent>), ApiError> {
    let default = match body.identity {
        AgentIdentityKind::Token if agents::shows_certificate(&plane.ledger, &body.name).await? => {
            let detail = format!("{} shows a certificate, so no token is made for it", body.name);
            return Err(ApiError::new(ErrorCode::Conflict, detail).hint(
                "Enrol it with `--certificate` to change its targets; to go back to a token, `gk agent revoke` first.",
            ));
        }
        AgentIdentityKind::Token => DEFAULT_LIFE,
        AgentIdentityKind::Certificate if plane.agents.is_none() => return Err(no_authority()),
        AgentIdentityKind::Certificate => DEFAULT_ENROLMENT_LIFE,
    };
    let life = life(body.ttl_seconds, default);
    body.targets.sort();
    body.targets.dedup();
    let enrolled = agents::enroll(&plane.ledger, user.origin(), &body, life).await?;
    Ok((StatusCode::CREATED, Json(enrolled)))
}
