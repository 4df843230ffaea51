//! `POST /v1/sessions`: policy decides, the ledger keeps the intent and a job, an agent makes the role.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gk_shared::ids::SessionId;
use gk_shared::problem::ErrorCode;
use gk_shared::reason::{Reason, TicketRef};
use gk_shared::seal::{RecipientKey, RecipientSecret};
use gk_shared::session::SessionStatus;
use gk_shared::ttl::Ttl;
use gk_shared::wire::session::{CreateSession, DryRun, SessionView};
use sha2::{Digest as _, Sha256};

use super::credential::view_for;
use super::{decide, permit};
use crate::http::auth::User;
use crate::http::body::Body;
use crate::http::idempotency;
use crate::http::problem::ApiError;
use crate::http::query::Query;
use crate::plane::Plane;
use crate::policy::{Ask, Denied, Permit};
use crate::store::sessions::{self, Created, KeyKind, NewSession, Requester, Seat, SessionRecord};

/// A request whose every part was read.
struct Wanted {
    body: CreateSession,
    ttl: Ttl,
    reason: Option<Reason>,
    ticket: Option<TicketRef>,
    recipient: Option<RecipientKey>,
}

impl Wanted {
    fn read(body: CreateSession) -> Result<Self, ApiError> {
        let ttl = ttl(&body)?;
        let reason = body.reason.as_deref().map(str::parse).transpose()?;
        let ticket = body.ticket.as_deref().map(str::parse).transpose()?;
        let recipient = body.recipient_public_key.as_deref().map(str::parse).transpose()?;
        Ok(Self { body, ttl, reason, ticket, recipient })
    }

    fn ask(&self) -> Ask<'_> {
        Ask { target: &self.body.target, role: &self.body.role, ttl: self.ttl, reason: self.reason.as_ref() }
    }

    /// Of the request as it was understood, so that blanks and the order of fields make no difference.
    fn hash(&self) -> [u8; 32] {
        let text = serde_json::to_vec(&self.body).expect("the body was JSON before");
        Sha256::digest(text).into()
    }
}

fn ttl(body: &CreateSession) -> Result<Ttl, ApiError> {
    match (body.ttl_seconds, body.ttl_minutes) {
        (Some(seconds), None) => Ok(Ttl::from_secs(seconds)?),
        (None, Some(minutes)) => Ok(Ttl::from_minutes(minutes)?),
        (None, None) => Err(ApiError::new(ErrorCode::InvalidTtl, "give `ttlSeconds` or `ttlMinutes`")),
        (Some(_), Some(_)) => Err(ApiError::new(ErrorCode::InvalidTtl, "give `ttlSeconds` or `ttlMinutes`, not both")),
    }
}

/// Asks for a session
///
/// Send an `Idempotency-Key`, and the same one when repeating. With `?wait=10s` the answer comes as soon as the session
/// is ready or has failed; with `?dryRun=true` policy is asked and nothing is made.
#[utoipa::path(post, path = "/sessions", tag = "sessions", request_body = CreateSession,
    params(
        ("Idempotency-Key" = Option<String>, Header, pattern = "^[A-Za-z0-9_-]{8,128}$", description = "8 to 128 of A-Za-z0-9_-; services must send one"),
        ("wait" = Option<String>, Query, pattern = "^(([0-9]|[12][0-9]|30)s|[0-9]{1,4}ms)$", description = "How long to wait for the credential, at most 30s"),
        ("dryRun" = Option<bool>, Query, description = "Only ask policy"),
    ),
    responses(
        (status = 201, description = "The session", body = SessionView),
        (status = 200, description = "What policy says (dryRun)", body = DryRun),
    ))]
pub async fn create_session(
    State(plane): State<Plane>,
    user: User,
    headers: HeaderMap,
    mut query: Query,
    Body(body): Body<CreateSession>,
) -> Result<Response, ApiError> {
    let (wait, dry_run) = (query.wait()?, query.flag("dryRun")?);
    query.finish()?;
    let wanted = Wanted::read(body)?;
    if dry_run {
        return dry(&plane, &user, &wanted).await;
    }
    let key = idempotency::key(&plane, &user, &headers)?;
    let permit = permit(&plane, &user, &wanted.ask()).await?;
    let new = NewSession { key, ..new_session(&plane, &user, wanted, &permit) };
    let session = match wait.is_zero() {
        true => sessions::create(&plane.ledger, &new).await?.into_session(),
        false => create_and_wait(&plane, &user, &new, wait).await?,
    };
    let view = view_for(&plane, &user, &session).await?;
    let place = [(header::LOCATION, format!("/v1/sessions/{}", session.id))];
    Ok((StatusCode::CREATED, place, Json(view)).into_response())
}

/// Makes the session and waits until it is ready or has failed. The seat is taken before anybody can serve it.
async fn create_and_wait(
    plane: &Plane,
    user: &User,
    new: &NewSession,
    wait: Duration,
) -> Result<SessionRecord, ApiError> {
    let seat = Seat::take(&plane.ledger, new.id, user.origin());
    let settled = |status| status != SessionStatus::Provisioning;
    let (session, found) = match sessions::create(&plane.ledger, new).await? {
        Created::New(made) => {
            let found = plane.until_stop(sessions::wait_seated(&plane.ledger, &made, seat, wait, settled)).await;
            (made, found)
        }
        Created::Again(made) => {
            drop(seat);
            let found = plane.until_stop(sessions::wait(&plane.ledger, made.id, user.own(), wait, settled)).await;
            (made, found)
        }
    };
    Ok(found.transpose()?.flatten().unwrap_or(session))
}

async fn dry(plane: &Plane, user: &User, wanted: &Wanted) -> Result<Response, ApiError> {
    let answer = match decide(plane, user, &wanted.ask()).await? {
        Ok(permit) => {
            DryRun { allowed: true, rule: permit.rule().to_owned(), max_ttl_seconds: permit.max_ttl().as_secs() }
        }
        Err(Denied::Role { .. }) => DryRun { allowed: false, rule: "default deny".to_owned(), max_ttl_seconds: 0 },
        Err(denied @ (Denied::Target(_) | Denied::Ttl(_) | Denied::Reason(_))) => return Err(denied.into()),
    };
    Ok(Json(answer).into_response())
}

fn new_session(plane: &Plane, user: &User, wanted: Wanted, permit: &Permit) -> NewSession {
    let id: SessionId = plane.ledger.fresh_id(user.now);
    let body_hash = wanted.hash();
    let (recipient, key_kind) = match wanted.recipient {
        Some(key) => (key, KeyKind::Own),
        None => (RecipientSecret::for_token(&user.bearer, id).public(), KeyKind::Token),
    };
    NewSession {
        id,
        requester: Requester { actor: user.actor, name: user.name.clone(), token: user.token },
        target: wanted.body.target,
        role: wanted.body.role,
        ttl: permit.ttl(),
        max_connections: wanted.body.max_connections,
        reason: wanted.reason,
        ticket: wanted.ticket,
        recipient,
        key_kind,
        rule: permit.rule().to_owned(),
        provision_within: plane.provision_deadline,
        request: user.request,
        key: idempotency::fresh(plane),
        body_hash,
    }
}
