//! `/v1/sessions`: ask for a session, look at it, end it, ask for more time.

pub mod create;
mod credential;
mod cursor;
pub mod extend;
pub mod get;
pub mod list;
pub mod revoke;

use gk_shared::ids::SessionId;
use gk_shared::problem::ErrorCode;

use super::auth::User;
use super::problem::ApiError;
use crate::plane::Plane;
use crate::store::sessions::find;

/// What to say to one who may not change a session: who can see it is told so, everybody else learns nothing.
async fn refuse_change(plane: &Plane, user: &User, id: SessionId) -> Result<ApiError, ApiError> {
    let visible = find(&plane.ledger, id, user.viewer()).await?.is_some();
    Ok(if visible {
        ApiError::new(ErrorCode::SelfOnly, "this session is somebody else's, and the token is no admin's")
    } else {
        ApiError::not_found("session")
    })
}
