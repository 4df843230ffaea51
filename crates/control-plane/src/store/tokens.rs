//! Tokens: who calls. The ledger holds hashes alone.

use std::time::Duration;

use gk_shared::audit::AuditAction;
use gk_shared::ids::{ActorId, AgentId, TargetId, TokenId};
use gk_shared::names::{ActorName, AgentName, GroupName};
use gk_shared::secret::{BearerToken, TokenHash};
use gk_shared::wire::token::{Scope, TokenView};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::actors::{self, ActorKind, ActorSpec};
use super::row::Reader;
use super::{AuditedTx, Event, Lane, Ledger, Origin, StoreError};

/// Somebody whose token works.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The actor.
    pub actor: ActorId,
    /// Its name (an agent's, if it is one).
    pub name: ActorName,
    /// What it is.
    pub kind: ActorKind,
    /// Its e-mail.
    pub email: Option<String>,
    /// Its groups, for policy.
    pub groups: Vec<GroupName>,
    /// The token used.
    pub token: TokenId,
    /// What the token is for.
    pub scopes: Vec<Scope>,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// The agent, for an agent's token.
    pub agent: Option<AgentIdentity>,
    /// The ledger's clock at this look.
    pub now: Timestamp,
}

/// How a caller shows who it is. All of them are found by a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A token with every call.
    Bearer,
    /// A token that works once, for an agent's first certificate.
    Enrolment,
    /// A certificate, in the handshake of TLS.
    Certificate,
}

impl TokenKind {
    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Enrolment => "enrolment",
            Self::Certificate => "certificate",
        }
    }
}

/// An agent that showed who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentIdentity {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// The targets that it served when it was looked up.
    pub targets: Vec<TargetId>,
}

/// What a token is worth.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// It works.
    Known(Box<Caller>),
    /// There is none like it, it was revoked, or its owner is disabled.
    Invalid,
    /// It has passed its end.
    Expired {
        /// Its end.
        at: Timestamp,
        /// The ledger's clock at this look.
        now: Timestamp,
    },
}

const AUTHENTICATE: &str = "-- tokens::authenticate
    SELECT k.id, k.hash, k.scopes, k.expires_at, k.revoked_at IS NOT NULL OR a.disabled_at IS NOT NULL AS dead,
        k.expires_at <= clock_timestamp() AS expired, coalesce(k.last_used_at < now() - interval '1 minute', true) AS stale,
        a.id AS actor_id, a.kind, a.name, a.email, a.groups, g.id AS agent_id, clock_timestamp() AS now,
        ARRAY(SELECT target_id FROM agent_targets WHERE agent_id = g.id) AS agent_targets
    FROM tokens k JOIN actors a ON a.id = k.actor_id LEFT JOIN agents g ON g.actor_id = a.id
    WHERE k.hash = $1 AND k.kind = $2";
/// Of many requests at once with one token, one notes the minute; the others must not queue up behind it.
const TOUCH: &str = "-- tokens::touch
    UPDATE tokens SET last_used_at = now() WHERE id = (
        SELECT id FROM tokens WHERE id = $1 AND coalesce(last_used_at < now() - interval '1 minute', true)
        FOR NO KEY UPDATE SKIP LOCKED)";

/// Who this token stands for.
///
/// # Errors
/// The ledger's own trouble.
pub async fn authenticate(ledger: &Ledger, token: &BearerToken) -> Result<Authentication, StoreError> {
    authenticate_as(ledger, token.hash(), TokenKind::Bearer).await
}

/// Who it is that shows something of this kind with this hash.
///
/// # Errors
/// The ledger's own trouble.
pub async fn authenticate_as(ledger: &Ledger, hash: TokenHash, kind: TokenKind) -> Result<Authentication, StoreError> {
    let Some(row) = ledger.opt(AUTHENTICATE, &[&hash.as_bytes().as_slice(), &kind.as_str()]).await? else {
        return Ok(Authentication::Invalid);
    };
    let row = Reader::new(&row, "token");
    let stored: &[u8] = row.get("hash")?;
    let stored: [u8; 32] = stored.try_into().map_err(|error| row.bad("hash", error))?;
    // The index found it by its bytes; the comparison that counts takes the same time for every value.
    if TokenHash::from_bytes(stored) != hash || row.get("dead")? {
        return Ok(Authentication::Invalid);
    }
    if row.get("expired")? {
        return Ok(Authentication::Expired { at: row.get("expires_at")?, now: row.get("now")? });
    }
    let caller = caller(&row)?;
    if row.get("stale")? {
        // Best effort: nobody is turned away because the ledger cannot note the minute.
        if let Err(error) = ledger.query(TOUCH, &[&caller.token.uuid()]).await {
            tracing::debug!(%error, "last use of a token was not noted");
        }
    }
    Ok(Authentication::Known(Box::new(caller)))
}

fn caller(row: &Reader<'_>) -> Result<Caller, StoreError> {
    let agent: Option<uuid::Uuid> = row.get("agent_id")?;
    let agent = match agent {
        Some(id) => {
            let targets: Vec<uuid::Uuid> = row.get("agent_targets")?;
            let targets = targets.into_iter().map(TargetId::from_uuid).collect();
            Some(AgentIdentity { id: AgentId::from_uuid(id), name: row.parse("name")?, targets })
        }
        None => None,
    };
    Ok(Caller {
        actor: row.id("actor_id", ActorId::from_uuid)?,
        name: row.parse("name")?,
        kind: row.parse("kind")?,
        email: row.get("email")?,
        groups: row.parse_all("groups")?,
        token: row.id("id", TokenId::from_uuid)?,
        scopes: row.parse_all("scopes")?,
        expires_at: row.get("expires_at")?,
        agent,
        now: row.get("now")?,
    })
}

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Whose; made where there is none.
    pub actor: ActorSpec,
    /// What for.
    pub scopes: Vec<Scope>,
    /// How long it works.
    pub life: Duration,
}

/// A token that was made: the only moment at which it can be shown.
#[derive(Debug)]
pub struct MadeToken {
    /// Its id.
    pub id: TokenId,
    /// The token.
    pub token: BearerToken,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Makes a token.
///
/// # Errors
/// The ledger's own trouble.
pub async fn create(ledger: &Ledger, origin: Origin, new: &NewToken) -> Result<MadeToken, StoreError> {
    let tx = ledger.begin(Lane::Normal, origin).await?;
    let actor = actors::upsert(&tx, &new.actor).await?;
    let token = BearerToken::generate(ledger.random_bytes());
    let made = insert(&tx, actor, (token, TokenKind::Bearer), (&new.scopes, new.life)).await?;
    let groups = new.actor.groups.as_ref().map(|groups| join(groups));
    let event = Event::new(AuditAction::TokenCreated, made.id)
        .fact("actor", &new.actor.name)
        .fact("scopes", join(&new.scopes))
        .fact("expires_at", made.expires_at)
        .fact_opt("groups", groups);
    tx.record(event).commit().await?;
    Ok(made)
}

fn join<T: ToString>(words: &[T]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

const INSERT: &str = "-- tokens::insert
    INSERT INTO tokens (id, tenant_id, actor_id, hash, scopes, expires_at, kind)
    VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6), $7) RETURNING expires_at";

pub(super) async fn insert(
    tx: &AuditedTx,
    actor: ActorId,
    (token, kind): (BearerToken, TokenKind),
    (scopes, life): (&[Scope], Duration),
) -> Result<MadeToken, StoreError> {
    let id: TokenId = tx.fresh();
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let hash = token.hash();
    let params: [&(dyn ToSql + Sync); 7] = [
        &id.uuid(),
        &Ledger::tenant().uuid(),
        &actor.uuid(),
        &hash.as_bytes().as_slice(),
        &scopes,
        &life.as_secs_f64(),
        &kind.as_str(),
    ];
    let row = tx.one(INSERT, &params).await?;
    Ok(MadeToken { id, token, expires_at: Reader::new(&row, "token").get("expires_at")? })
}

/// The first token of an installation, or one for an admin who lost theirs: whoever can reach the ledger as its owner
/// may have one, and the log says so.
///
/// # Errors
/// The ledger's own trouble.
pub async fn admin(ledger: &Ledger, name: ActorName, life: Duration) -> Result<MadeToken, StoreError> {
    let actor = ActorSpec { name, kind: ActorKind::Human, groups: None, email: None };
    let scopes = vec![Scope::Requester, Scope::Admin, Scope::Auditor];
    create(ledger, Origin::system(), &NewToken { actor, scopes, life }).await
}

const REVOKE: &str = "-- tokens::revoke
    UPDATE tokens SET revoked_at = now() WHERE id = $1 AND tenant_id = $2 AND revoked_at IS NULL RETURNING actor_id";
const EXISTS: &str = "-- tokens::exists
    SELECT id FROM tokens WHERE id = $1 AND tenant_id = $2";

/// Revokes a token, at once. True if there is such a token, also when it was revoked before.
///
/// # Errors
/// The ledger's own trouble.
pub async fn revoke(ledger: &Ledger, origin: Origin, id: TokenId) -> Result<bool, StoreError> {
    let tx = ledger.begin(Lane::Ending, origin).await?;
    let params: [&(dyn ToSql + Sync); 2] = [&id.uuid(), &Ledger::tenant().uuid()];
    if tx.opt(REVOKE, &params).await?.is_none() {
        return Ok(tx.opt(EXISTS, &params).await?.is_some());
    }
    tx.record(Event::new(AuditAction::TokenRevoked, id)).commit().await?;
    Ok(true)
}

const LIST: &str = "-- tokens::list
    SELECT k.id, a.name, k.scopes, k.created_at, k.expires_at, k.last_used_at, k.revoked_at
    FROM tokens k JOIN actors a ON a.id = k.actor_id WHERE k.tenant_id = $1 ORDER BY k.id DESC LIMIT 1000";

/// The newest thousand tokens, newest first.
///
/// # Errors
/// The ledger's own trouble.
pub async fn list(ledger: &Ledger) -> Result<Vec<TokenView>, StoreError> {
    ledger.query(LIST, &[&Ledger::tenant().uuid()]).await?.iter().map(view).collect()
}

fn view(row: &Row) -> Result<TokenView, StoreError> {
    let row = Reader::new(row, "token");
    Ok(TokenView {
        token_id: row.id("id", TokenId::from_uuid)?,
        actor: row.get("name")?,
        scopes: row.parse_all("scopes")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        last_used_at: row.get("last_used_at")?,
        revoked_at: row.get("revoked_at")?,
    })
}
