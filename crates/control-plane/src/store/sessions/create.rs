//! Creating a session: the intent, its job, the idempotency key and the audit event are one transaction.
//!
//! Always holds: one actor and one key make one session, however many requests carry them at once.

use std::time::Duration;

use gk_shared::audit::AuditAction;
use gk_shared::idempotency::IdempotencyKey;
use gk_shared::ids::{ActorId, JobId, RequestId, SessionId, TargetId, TokenId};
use gk_shared::names::{ActorName, PackName, TargetName};
use gk_shared::reason::{Reason, TicketRef};
use gk_shared::seal::RecipientKey;
use gk_shared::ttl::Ttl;
use tokio_postgres::types::ToSql;

use super::record::{KeyKind, SessionRecord, session_columns};
use crate::store::row::Reader;
use crate::store::tx::{Param, params};
use crate::store::{Event, Lane, Ledger, Origin, StoreError};
use crate::wakeups::Wake;

/// How long a repeat of a request is known as one.
const KEY_LIFE_SECONDS: i32 = 24 * 60 * 60;
/// An agent that was not heard of for this long does not count as serving its targets.
const AGENT_SILENCE_SECONDS: i32 = 5 * 60;

/// A target whose clock differs by more than this from the ledger's gets no new sessions: their ends would be a guess.
const MOST_SKEW_MS: i64 = 30_000;

/// Who asks for a session.
#[derive(Debug, Clone)]
pub struct Requester {
    /// The actor.
    pub actor: ActorId,
    /// Its name.
    pub name: ActorName,
    /// The token used.
    pub token: TokenId,
}

/// A session that policy has allowed.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id, from [`Ledger::fresh_id`]: the key of [`KeyKind::Token`] depends on it.
    pub id: SessionId,
    /// Who asks.
    pub requester: Requester,
    /// Where.
    pub target: TargetName,
    /// Role pack.
    pub role: PackName,
    /// How long.
    pub ttl: Ttl,
    /// Connections at once.
    pub max_connections: Option<u16>,
    /// Why.
    pub reason: Option<Reason>,
    /// Ticket.
    pub ticket: Option<TicketRef>,
    /// Key that the credential is sealed to.
    pub recipient: RecipientKey,
    /// Whose key that is.
    pub key_kind: KeyKind,
    /// The rule that allowed it, for the log.
    pub rule: String,
    /// How long agents may take until it has failed.
    pub provision_within: Duration,
    /// The request.
    pub request: RequestId,
    /// What makes a repeat a repeat.
    pub key: IdempotencyKey,
    /// SHA-256 of the request as it was parsed.
    pub body_hash: [u8; 32],
}

/// The answer to a create that was not refused.
#[derive(Debug, Clone)]
pub enum Created {
    /// A new session.
    New(SessionRecord),
    /// The session that an earlier request with this key made.
    Again(SessionRecord),
}

impl Created {
    /// The session.
    #[must_use]
    pub fn into_session(self) -> SessionRecord {
        match self {
            Self::New(session) | Self::Again(session) => session,
        }
    }
}

/// Why no session was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateRefused {
    /// There is no such target.
    #[error("there is no such target")]
    UnknownTarget,
    /// The caller's token stopped working while the request was under way.
    #[error("the token stopped working while the request was under way")]
    TokenEnded,
    /// The target's clock differs too much from the ledger's.
    #[error("the target's clock differs by {0} s from the ledger's; sessions are granted again once it is set right")]
    ClockSkew(i64),
    /// No agent that is alive serves the target.
    #[error("no agent serves this target at the moment")]
    NoAgent,
    /// The target has no such pack, or cannot use it.
    #[error("{0}")]
    PackRefused(String),
    /// The key was used with another body.
    #[error("this Idempotency-Key was used with another body")]
    IdempotencyMismatch,
    /// The ledger's own trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the session, or finds the one that this key made before.
///
/// # Errors
/// Why not.
pub async fn create(ledger: &Ledger, new: &NewSession) -> Result<Created, CreateRefused> {
    let origin = Origin::actor(new.requester.name.as_str(), new.request);
    let mut tx = ledger.begin(Lane::Normal, origin).await?;
    let job: JobId = tx.fresh();
    tx.last(INSERT, params(new, job));
    let rows = tx.record(requested(new)).only_if_made(new.id).commit_returning().await?;
    let Some(row) = rows.first() else {
        return match earlier(ledger, new).await? {
            Some(found) => found,
            None => Err(why_not(ledger, new).await?),
        };
    };
    let target = Reader::new(row, "session").id("target_id", TargetId::from_uuid)?;
    ledger.wakeups().wake(Wake::Beginnings(target));
    Ok(Created::New(SessionRecord::read(row)?))
}

/// The version of the pack is not known before the row is made: the event of the minted role says it.
fn requested(new: &NewSession) -> Event {
    Event::new(AuditAction::SessionRequested, new.id)
        .fact("target", &new.target)
        .fact("role", &new.role)
        .fact("ttl_seconds", new.ttl.as_secs())
        .fact("rule", &new.rule)
        .fact("recipient_key", new.recipient.fingerprint())
        .fact_opt("reason", new.reason.as_ref())
        .fact_opt("ticket", new.ticket.as_ref())
        .fact_opt("max_connections", new.max_connections)
}

/// The actor's row is locked against being disabled: whoever disables an actor at this moment either comes first, and
/// nothing is made, or comes after the commit, and finds the session to end.
const INSERT: &str = concat!(
    "-- sessions::create
    WITH who AS MATERIALIZED (
        SELECT a.id FROM tokens k JOIN actors a ON a.id = k.actor_id
        WHERE k.id = $10 AND k.revoked_at IS NULL AND k.expires_at > now() AND a.disabled_at IS NULL
        FOR SHARE OF a
    ), t AS (
        SELECT t.id, t.name, p.version, p.digest
        FROM who CROSS JOIN targets t JOIN target_packs p ON p.target_id = t.id AND p.name = $5 AND p.fault IS NULL
        WHERE t.tenant_id = $1 AND t.name = $4 AND abs(coalesce(t.clock_skew_ms, 0)) <= $22 AND EXISTS (
            SELECT FROM agent_targets x JOIN agents g ON g.id = x.agent_id JOIN actors o ON o.id = g.actor_id
            WHERE x.target_id = t.id AND o.disabled_at IS NULL AND g.last_seen_at > now() - make_interval(secs => $6))
    ), key AS (
        INSERT INTO idempotency_keys AS k (tenant_id, actor_id, key, body_hash, session_id, expires_at)
        SELECT $1, $3, $7, $8, $2, now() + make_interval(secs => $9) FROM t
        ON CONFLICT (actor_id, key) DO UPDATE
            SET body_hash = excluded.body_hash, session_id = excluded.session_id, expires_at = excluded.expires_at
            WHERE k.expires_at <= now()
        RETURNING session_id
    ), s AS (
        INSERT INTO sessions (id, tenant_id, target_id, actor_id, token_id, pack, pack_version, pack_digest, reason,
            ticket, ttl_seconds, max_connections, recipient_key, recipient_fingerprint, key_kind, correlation_id,
            provision_deadline)
        SELECT $2, $1, t.id, $3, $10, $5, t.version, t.digest, $11, $12, $13, $14, $15, $16, $17, $18,
            now() + make_interval(secs => $19)
        FROM t, key
        RETURNING *
    ), j AS (
        INSERT INTO jobs (id, tenant_id, session_id, target_id, kind, lane, correlation_id)
        SELECT $20, $1, s.id, s.target_id, 'create', 1, $18 FROM s
    )
    SELECT ",
    session_columns!(),
    " FROM s, t, (SELECT $21::text AS name) a"
);

fn params(new: &NewSession, job: JobId) -> Vec<Param> {
    let ttl = i32::try_from(new.ttl.as_secs()).expect("a ttl is at most a day");
    params![
        Ledger::tenant().uuid(),
        new.id.uuid(),
        new.requester.actor.uuid(),
        new.target.to_string(),
        new.role.to_string(),
        f64::from(AGENT_SILENCE_SECONDS),
        new.key.as_str().to_owned(),
        new.body_hash.to_vec(),
        f64::from(KEY_LIFE_SECONDS),
        new.requester.token.uuid(),
        new.reason.as_ref().map(Reason::to_string),
        new.ticket.as_ref().map(TicketRef::to_string),
        ttl,
        new.max_connections.map(i32::from),
        new.recipient.to_bytes().to_vec(),
        new.recipient.fingerprint(),
        new.key_kind.as_str(),
        new.request.to_string(),
        new.provision_within.as_secs_f64(),
        job.uuid(),
        new.requester.name.to_string(),
        MOST_SKEW_MS,
    ]
}

const EARLIER: &str = concat!(
    "-- sessions::create_earlier
    SELECT k.body_hash, ",
    session_columns!(),
    " FROM idempotency_keys k JOIN sessions s ON s.id = k.session_id
      JOIN targets t ON t.id = s.target_id JOIN actors a ON a.id = s.actor_id
      WHERE k.actor_id = $1 AND k.key = $2 AND k.expires_at > now()"
);

/// What this key made before, if anything: a statement of its own, which sees what a request at the same time committed.
async fn earlier(ledger: &Ledger, new: &NewSession) -> Result<Option<Result<Created, CreateRefused>>, StoreError> {
    let Some(row) = ledger.opt(EARLIER, &[&new.requester.actor.uuid(), &new.key.as_str()]).await? else {
        return Ok(None);
    };
    let body: &[u8] = Reader::new(&row, "idempotency key").get("body_hash")?;
    if body != new.body_hash {
        return Ok(Some(Err(CreateRefused::IdempotencyMismatch)));
    }
    Ok(Some(Ok(Created::Again(SessionRecord::read(&row)?))))
}

const WHY_NOT: &str = "-- sessions::create_why_not
    SELECT p.version, p.fault, EXISTS (
        SELECT FROM agent_targets x JOIN agents g ON g.id = x.agent_id JOIN actors o ON o.id = g.actor_id
        WHERE x.target_id = t.id AND o.disabled_at IS NULL AND g.last_seen_at > now() - make_interval(secs => $4)
    ) AS served, t.health_at IS NOT NULL AS seen, coalesce(t.clock_skew_ms, 0) AS skew_ms, EXISTS (
        SELECT FROM tokens k JOIN actors a ON a.id = k.actor_id
        WHERE k.id = $5 AND k.revoked_at IS NULL AND k.expires_at > now() AND a.disabled_at IS NULL
    ) AS works
    FROM targets t LEFT JOIN target_packs p ON p.target_id = t.id AND p.name = $3
    WHERE t.tenant_id = $1 AND t.name = $2";

/// Nothing was made and nothing was there before: finds the reason.
async fn why_not(ledger: &Ledger, new: &NewSession) -> Result<CreateRefused, StoreError> {
    let silence = f64::from(AGENT_SILENCE_SECONDS);
    let token = new.requester.token.uuid();
    let params: [&(dyn ToSql + Sync); 5] =
        [&Ledger::tenant().uuid(), &new.target.as_str(), &new.role.as_str(), &silence, &token];
    let Some(row) = ledger.opt(WHY_NOT, &params).await? else { return Ok(CreateRefused::UnknownTarget) };
    let row = Reader::new(&row, "target");
    let (served, seen, works): (bool, bool, bool) = (row.get("served")?, row.get("seen")?, row.get("works")?);
    let skew_ms: i64 = row.get("skew_ms")?;
    if !works {
        return Ok(CreateRefused::TokenEnded);
    }
    if skew_ms.abs() > MOST_SKEW_MS {
        return Ok(CreateRefused::ClockSkew(skew_ms / 1000));
    }
    if !served || !seen {
        return Ok(CreateRefused::NoAgent);
    }
    let (version, fault): (Option<&str>, Option<String>) = (row.get("version")?, row.get("fault")?);
    let (role, target) = (&new.role, &new.target);
    Ok(match (version, fault) {
        (_, Some(fault)) => CreateRefused::PackRefused(format!("role {role} cannot be used on {target}: {fault}")),
        (None, None) => CreateRefused::PackRefused(format!("role {role} is not registered on {target}")),
        // What was missing a moment ago is there by now: asking again will do.
        (Some(_), None) => CreateRefused::NoAgent,
    })
}
