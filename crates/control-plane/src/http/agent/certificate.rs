//! Certificates of agents: the first one for a one-time token (`POST /v1/agent/enroll`), the next one for the one that ends
//! (`POST /v1/agent/certificate`).
//!
//! Always holds: who the agent is follows from what it showed, never from its request; a request that cannot be certified
//! uses no token up.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gk_edge::pki::{Claims, PkiError};
use gk_shared::ids::TokenId;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::agent::{CertifiedAgent, CertifyAgent};

use crate::http::auth::AgentCaller;
use crate::http::body::Body;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::certificates::{self, NewCertificate};
use crate::store::tokens::TokenKind;

/// Enrols an agent: a one-time token for its first certificate
#[utoipa::path(post, path = "/agent/enroll", tag = "agent", request_body = CertifyAgent,
    responses((status = 201, description = "The certificate; the token is used up", body = CertifiedAgent)))]
pub async fn enroll_with_certificate(
    State(plane): State<Plane>,
    caller: AgentCaller,
    Body(ask): Body<CertifyAgent>,
) -> Result<(StatusCode, Json<CertifiedAgent>), ApiError> {
    let (new, answer) = certify(&plane, &caller, &ask).await?;
    if certificates::enrol(&plane.ledger, caller.origin(), (&caller.agent, caller.token), &new).await? {
        return Ok((StatusCode::CREATED, Json(answer)));
    }
    // Somebody was faster: one of the two is not who the admin meant.
    Err(ApiError::new(ErrorCode::TokenInvalid, "this one-time token was used a moment ago, by this machine or another"))
}

/// Gives an agent its next certificate
///
/// For an agent that shows the one before. That one works until its own end.
#[utoipa::path(post, path = "/agent/certificate", tag = "agent", request_body = CertifyAgent,
    responses((status = 201, description = "The next certificate", body = CertifiedAgent)))]
pub async fn renew_certificate(
    State(plane): State<Plane>,
    caller: AgentCaller,
    Body(ask): Body<CertifyAgent>,
) -> Result<(StatusCode, Json<CertifiedAgent>), ApiError> {
    match caller.kind {
        TokenKind::Certificate => {}
        TokenKind::Bearer | TokenKind::Enrolment => {
            let detail = "this is for agents that show a certificate; this one showed a token";
            return Err(ApiError::new(ErrorCode::WrongPrincipalKind, detail)
                .hint("Enrol it for a certificate: `gk agent enroll NAME --certificate`, then `gk-agent enroll`."));
        }
    }
    let (new, answer) = certify(&plane, &caller, &ask).await?;
    if certificates::renew(&plane.ledger, caller.origin(), (&caller.agent, caller.token), &new).await? {
        return Ok((StatusCode::CREATED, Json(answer)));
    }
    Err(ApiError::new(ErrorCode::TokenInvalid, "this agent's certificate was revoked a moment ago"))
}

async fn certify(
    plane: &Plane,
    caller: &AgentCaller,
    ask: &CertifyAgent,
) -> Result<(NewCertificate, CertifiedAgent), ApiError> {
    let agents = plane.agents.as_ref().ok_or_else(no_authority)?;
    let now = plane.ledger.now().await?;
    let id: TokenId = plane.ledger.fresh_id(now);
    let (agent, uri) = (&caller.agent, format!("gatekeeper:agent:{}", caller.agent.id));
    let (serial, life) = (id.uuid().into_bytes(), agents.life);
    let claims = Claims { name: agent.name.as_str(), uri: &uri, serial: &serial, now, life };
    let issued = agents.authority.certify(&ask.request, &claims).map_err(|error| match error {
        PkiError::Request => ApiError::new(ErrorCode::InvalidRequest, format!("`request`: {error}")),
        PkiError::Authority(_) | PkiError::Key | PkiError::Strangers | PkiError::Make(_) => {
            tracing::error!(%error, "a certificate could not be made");
            ApiError::new(ErrorCode::Internal, "the certificate could not be made")
        }
    })?;
    let new = NewCertificate { id, fingerprint: issued.fingerprint, until: issued.until };
    let (agent_id, name) = (agent.id, agent.name.clone());
    Ok((new, CertifiedAgent { agent_id, name, certificate: issued.pem, expires_at: issued.until }))
}

/// The answer where nobody set up certificates.
pub(crate) fn no_authority() -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, "this control plane gives agents no certificates").hint(
        "Whoever runs it makes an authority (`gk-control-plane agent-ca --out DIR`) and names it in tls.agent_ca_file.",
    )
}
