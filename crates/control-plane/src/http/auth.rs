//! Who calls: the bearer token, looked up by its hash at every request.
//!
//! Always holds: whatever is wrong with a token, the refusal has the same words (one that was ours and has expired is
//! told so, since only its holder can send it); the text of a token is never logged; the ledger is asked at every request,
//! so a revoked token and a disabled actor are refused at the next one. What is remembered of a token that worked
//! ([`super::familiar`]) decides only how long it waits. Ends and agents are looked up over the reserve.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gk_edge::accept::{ClientCertificate, Peer};
use gk_shared::audit::AuditAction;
use gk_shared::ids::{ActorId, RequestId, TokenId};
use gk_shared::names::{ActorName, GroupName};
use gk_shared::problem::ErrorCode;
use gk_shared::secret::{BearerToken, TokenHash};
use gk_shared::wire::token::Scope;
use jiff::Timestamp;

use super::access::Access;
use super::problem::ApiError;
use super::rates::Bucket;
use crate::plane::Plane;
use crate::policy::Asker;
use crate::store::actors::ActorKind;
use crate::store::sessions::Viewer;
use crate::store::tokens::{self, AgentIdentity, Authentication, Caller, TokenKind};
use crate::store::{Event, Origin, audit};

/// A person or a service, on one request.
#[derive(Debug, Clone)]
pub struct User {
    /// The actor.
    pub actor: ActorId,
    /// Its name.
    pub name: ActorName,
    /// Its groups.
    pub groups: Vec<GroupName>,
    /// Whether it is a program, which repeats requests by itself.
    pub is_service: bool,
    /// The token used.
    pub token: TokenId,
    /// The token itself: what is sealed to it is opened with it.
    pub bearer: BearerToken,
    /// What the token is for.
    pub scopes: Vec<Scope>,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// The ledger's clock when it was looked up.
    pub now: Timestamp,
    /// The request.
    pub request: RequestId,
}

impl User {
    /// As policy sees them.
    #[must_use]
    pub fn asker(&self) -> Asker<'_> {
        Asker { name: &self.name, groups: &self.groups }
    }

    /// As the audit log names them.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::actor(self.name.as_str(), self.request)
    }

    /// Their own sessions.
    #[must_use]
    pub const fn own(&self) -> Viewer {
        Viewer::Actor(self.actor)
    }

    /// The sessions they may see: their own, or all with the scope for it.
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        let all = self.has(Scope::Admin) || self.has(Scope::Auditor);
        if all { Viewer::All } else { self.own() }
    }

    /// The sessions they may end or extend.
    #[must_use]
    pub fn may_change(&self) -> Viewer {
        if self.has(Scope::Admin) { Viewer::All } else { self.own() }
    }

    /// Whether the token has this scope.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// An agent, on one request.
#[derive(Debug, Clone)]
pub struct AgentCaller {
    /// Who it is.
    pub agent: AgentIdentity,
    /// The token or certificate that it showed.
    pub token: TokenId,
    /// Which of them it is.
    pub kind: TokenKind,
    /// The request.
    pub request: RequestId,
}

impl AgentCaller {
    /// As the audit log names it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::agent(self.agent.name.as_str(), self.request)
    }
}

/// What stands at the door of a group of routes.
#[derive(Debug, Clone)]
pub struct Door {
    /// The plane.
    pub plane: Plane,
    /// Who may pass.
    pub access: Access,
    /// What passing costs.
    pub bucket: Bucket,
}

/// What the door needs to know of a request, apart from its body.
struct Call {
    id: RequestId,
    from: IpAddr,
    place: String,
    bearer: Option<BearerToken>,
    certificate: Option<TokenHash>,
}

impl Call {
    fn of(request: &Request) -> Self {
        let extensions = request.extensions();
        Self {
            id: *extensions.get().expect("the outermost layer gives every request its id"),
            // Without an address (a call inside this process) all share one.
            from: extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| network(peer.0)),
            place: format!("{} {}", request.method(), super::metrics::route_label(extensions.get())),
            bearer: bearer(request.headers()),
            certificate: extensions.get::<ClientCertificate>().map(|shown| TokenHash::from_bytes(*shown.0.as_bytes())),
        }
    }

    /// What shows who calls at this kind of door. A certificate stands for an agent, and there before any token.
    fn shown(&self, access: Access) -> Option<Shown> {
        let token = |kind| self.bearer.as_ref().map(|bearer| Shown { hash: bearer.hash(), kind });
        match access {
            Access::Agent => {
                let certificate = self.certificate.map(|hash| Shown { hash, kind: TokenKind::Certificate });
                certificate.or_else(|| token(TokenKind::Bearer))
            }
            Access::Enrolment => token(TokenKind::Enrolment),
            Access::Anyone | Access::User | Access::Requester | Access::Auditor | Access::Admin => {
                token(TokenKind::Bearer)
            }
        }
    }
}

/// What a caller showed: only its hash is ever looked up.
#[derive(Clone, Copy)]
struct Shown {
    hash: TokenHash,
    kind: TokenKind,
}

/// What counts as one place: an IPv4 address, and of IPv6 the /64 that whoever has one address there has all of.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Lets the request pass if its token allows it.
pub async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    match admit(&door, Call::of(&request)).await {
        Ok(Admitted::User(user)) => drop(request.extensions_mut().insert(user)),
        Ok(Admitted::Agent(agent)) => drop(request.extensions_mut().insert(agent)),
        Err(refusal) => return refusal.into_response(),
    }
    next.run(request).await
}

enum Admitted {
    User(User),
    Agent(AgentCaller),
}

async fn admit(door: &Door, call: Call) -> Result<Admitted, ApiError> {
    let Some(shown) = call.shown(door.access) else { return Err(refused(door, &call)) };
    let mut caller = authenticate(door, &call, shown).await?;
    tracing::debug!(actor = %caller.name, token = %caller.token, "authenticated");
    if let Err(refusal) = door.access.check(&caller.scopes) {
        record_refusal(&door.plane, &caller, &call, &refusal).await?;
        return Err(refusal);
    }
    match (caller.agent.take(), call.bearer.clone()) {
        (Some(agent), _) => {
            Ok(Admitted::Agent(AgentCaller { agent, token: caller.token, kind: shown.kind, request: call.id }))
        }
        (None, Some(bearer)) => Ok(Admitted::User(user(caller, bearer, call.id))),
        (None, None) => Err(refused(door, &call)),
    }
}

/// Who calls. One whose token has worked here before is counted before the ledger is asked; a token that has not waits
/// in line with its like, so that guesses never take all connections.
async fn authenticate(door: &Door, call: &Call, shown: Shown) -> Result<Caller, ApiError> {
    let (plane, lane, hash) = (&door.plane, door.bucket.lane(), shown.hash);
    let known = plane.familiar.actor(&hash);
    if let Some(actor) = known {
        plane.rates.take(door.bucket, actor)?;
    }
    let answer = {
        let _turn = match known {
            Some(_) => None,
            None => Some(plane.familiar.turn(lane, call.from).await),
        };
        tokens::authenticate_as(&plane.ledger.in_lane(lane), hash, shown.kind).await?
    };
    let Authentication::Known(caller) = answer else {
        plane.familiar.forget(&hash);
        return Err(useless(door, call, &answer));
    };
    plane.familiar.remember(&hash, caller.actor.uuid());
    if known.is_none() {
        plane.rates.take(door.bucket, caller.actor.uuid())?;
    }
    Ok(*caller)
}

fn useless(door: &Door, call: &Call, answer: &Authentication) -> ApiError {
    match answer {
        Authentication::Known(_) | Authentication::Invalid => refused(door, call),
        Authentication::Expired { at, now } => {
            let detail = format!("the token expired at {at:.0}; by the ledger's clock it is {now:.0}");
            ApiError::new(ErrorCode::TokenExpired, detail)
        }
    }
}

fn user(caller: Caller, bearer: BearerToken, request: RequestId) -> User {
    User {
        actor: caller.actor,
        name: caller.name,
        groups: caller.groups,
        is_service: caller.kind == ActorKind::Service,
        token: caller.token,
        bearer,
        scopes: caller.scopes,
        expires_at: caller.expires_at,
        now: caller.now,
        request,
    }
}

/// The token, if the request has exactly one `Authorization` header and it is `Bearer` with a token of our form.
fn bearer(headers: &HeaderMap) -> Option<BearerToken> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| BearerToken::parse(token).ok()).flatten()
}

/// The one answer to every token that does not work, and to none.
fn refused(door: &Door, call: &Call) -> ApiError {
    match door.plane.rates.refuse(call.from) {
        Ok(()) => ApiError::new(
            ErrorCode::TokenInvalid,
            "this needs a bearer token (of an agent: or a certificate) that works",
        ),
        Err(too_many) => too_many,
    }
}

/// Writes down that somebody known was where they do not belong.
async fn record_refusal(plane: &Plane, caller: &Caller, call: &Call, refusal: &ApiError) -> Result<(), ApiError> {
    let origin = match &caller.agent {
        Some(agent) => Origin::agent(agent.name.as_str(), call.id),
        None => Origin::actor(caller.name.as_str(), call.id),
    };
    let event = Event::new(AuditAction::AccessRefused, &call.place)
        .denied()
        .fact("code", refusal.code())
        .fact("token", caller.token);
    Ok(audit::record(&plane.ledger, origin, event).await?)
}

/// A handler asks for who called; the door has put it there.
macro_rules! from_door {
    ($($caller:ty),+) => {$(
        impl<S: Send + Sync> FromRequestParts<S> for $caller {
            type Rejection = ApiError;
            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                let found = parts.extensions.get::<Self>().cloned();
                found.ok_or_else(|| ApiError::new(ErrorCode::WrongPrincipalKind, "this route is for another kind of caller"))
            }
        }
    )+};
}
from_door!(User, AgentCaller);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_of_one_ipv6_network_are_one_place() {
        let place = |text: &str| network(text.parse().expect("is an address"));
        assert_eq!(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff::9"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_ne!(place("10.0.0.1"), place("10.0.0.2"));
        assert_eq!(place("::ffff:10.0.0.1"), place("10.0.0.1"));
    }
}
