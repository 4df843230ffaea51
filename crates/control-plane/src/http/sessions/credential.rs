//! Handing out a credential: to the one who asked, with the very token or key they asked with, and to nobody else.
//!
//! Always holds: what the ledger has is sealed; it is opened only here, with a key made from the bearer token of this
//! very call, and only after the audit log has taken the event. Who waited for the session to be made has that event
//! already, from the report that made it ready.

use gk_shared::seal::{RecipientSecret, SealedCredential};
use gk_shared::wire::session::SessionView;

use crate::http::auth::User;
use crate::http::problem::ApiError;
use crate::plane::Plane;
use crate::store::sessions::{self, KeyKind, SessionRecord};

/// The session as this caller may see it, with the credential if it is theirs and there is one.
pub(super) async fn view_for(plane: &Plane, user: &User, session: &SessionRecord) -> Result<SessionView, ApiError> {
    let mut view = session.view();
    let Some(sealed) = session.sealed_credential.as_ref().filter(|_| session.actor_id == user.actor) else {
        return Ok(view);
    };
    match session.key_kind {
        KeyKind::Own => view.sealed_credential = Some(sealed.clone()),
        KeyKind::Token if session.token_id == user.token => {
            let blob: SealedCredential = sealed.parse().map_err(|error| ApiError::internal(&error))?;
            let secret = RecipientSecret::for_token(&user.bearer, session.id);
            let dsn = secret.open(&blob, session.id, &session.target).map_err(|error| ApiError::internal(&error))?;
            view.dsn = Some(dsn.into());
        }
        // Another token of the same actor cannot open it, and is not counted as having read it.
        KeyKind::Token => return Ok(view),
    }
    if session.credential_read_at.is_none() {
        sessions::mark_credential_read(&plane.ledger, user.origin(), session.id).await?;
    }
    Ok(view)
}
