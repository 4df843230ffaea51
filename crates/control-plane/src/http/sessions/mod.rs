//! `/v1/sessions`: ask for a session, look at it, end it, ask for more time.

pub mod create;
mod credential;
pub mod cursor;
pub mod extend;
pub mod get;
pub mod list;
pub mod revoke;

use gk_shared::audit::AuditAction;
use gk_shared::ids::SessionId;
use gk_shared::problem::ErrorCode;

use super::auth::User;
use super::problem::ApiError;
use crate::plane::Plane;
use crate::policy::{Ask, Denied, Permit};
use crate::store::sessions::{Viewer, find};
use crate::store::{Event, audit, targets};

/// What policy says. A target that no rule shows to the caller is not there, unless they see it all the same.
async fn decide(plane: &Plane, user: &User, ask: &Ask<'_>) -> Result<Result<Permit, Denied>, ApiError> {
    let decision = plane.policy.decide(&user.asker(), ask);
    let hidden = matches!(decision, Err(Denied::Target(_)));
    if hidden && user.viewer() == Viewer::All && targets::find(&plane.ledger, ask.target).await?.is_some() {
        return Ok(Err(Denied::Role { target: ask.target.clone(), role: ask.role.clone() }));
    }
    Ok(decision)
}

/// Asks policy; a refusal is written to the audit log before the caller hears of it.
async fn permit(plane: &Plane, user: &User, ask: &Ask<'_>) -> Result<Permit, ApiError> {
    let denied = match decide(plane, user, ask).await? {
        Ok(permit) => {
            plane.notary.may_grant()?;
            return Ok(permit);
        }
        Err(denied) => denied,
    };
    let event = Event::new(AuditAction::SessionDenied, ask.target)
        .denied()
        .fact("role", ask.role)
        .fact("ttl_seconds", ask.ttl.as_secs())
        .fact("why", &denied);
    audit::record(&plane.ledger, user.origin(), event).await?;
    Err(denied.into())
}

/// What to say to one who may not change a session: who can see it is told so, everybody else learns nothing.
async fn refuse_change(plane: &Plane, user: &User, id: SessionId) -> Result<ApiError, ApiError> {
    let visible = find(&plane.ledger, id, user.viewer()).await?.is_some();
    Ok(if visible {
        ApiError::new(ErrorCode::SelfOnly, "this session is somebody else's, and the token is no admin's")
    } else {
        ApiError::not_found("session")
    })
}
