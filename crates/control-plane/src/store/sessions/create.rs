//! Creating a session: the intent, its job, the idempotency key and the audit event are one transaction.
//!
//! Always holds: one actor and one key make one session, however many requests carry them at once.

use std::time::Duration;

use base64::Engine as _;
use gk_shared::audit::AuditAction;
use gk_shared::idempotency::IdempotencyKey;
use gk_shared::ids::{ActorId, JobId, RequestId, SessionId, TokenId};
use gk_shared::names::{ActorName, PackName, TargetName};
use gk_shared::reason::{Reason, TicketRef};
use gk_shared::seal::RecipientKey;
use gk_shared::ttl::Ttl;
use gk_shared::wire::job::{self, CreateSessionJob, Job};
use tokio_postgres::Row;

use super::record::{KeyKind, SessionRecord, session_columns};
use super::refusal::{AGENT_SILENCE_SECONDS, CreateRefused, MOST_SKEW_MS, why_not};
use crate::store::jobs::dispatch::Offer;
use crate::store::jobs::{LEASE, TARGET_CAP, agent_works, offered};
use crate::store::row::Reader;
use crate::store::tx::{Param, params};
use crate::store::{Event, Lane, Ledger, Origin, StoreError};
use crate::wakeups::Wake;

/// How long a repeat of a request is known as one.
const KEY_LIFE_SECONDS: i32 = 24 * 60 * 60;

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

/// Makes the session, or finds the one that this key made before.
///
/// # Errors
/// Why not.
pub async fn create(ledger: &Ledger, new: &NewSession) -> Result<Created, CreateRefused> {
    let origin = Origin::actor(new.requester.name.as_str(), new.request);
    let mut tx = ledger.begin(Lane::Normal, origin).await?;
    let job = tx.fresh();
    let offer = Offer::to_make(ledger, &new.target, job);
    tx.last(INSERT, params(new, job, offer.as_ref()));
    let rows = tx.record(requested(new)).only_if_made(new.id).commit_returning().await?;
    let Some(row) = rows.first() else {
        offer.into_iter().for_each(Offer::withdraw);
        return match earlier(ledger, new).await? {
            Some(found) => found,
            None => Err(why_not(ledger, new).await?),
        };
    };
    let made = SessionRecord::read(row)?;
    ledger.dispatch().learn(&made.target, made.target_id);
    let leased = Reader::new(row, "session").get("leased")?;
    match offer {
        Some(offer) if leased => offer.hand_over(to_make(row, new, job)?, made.facts.generation),
        not_taken => {
            not_taken.into_iter().for_each(Offer::withdraw);
            ledger.wakeups().wake(Wake::Beginnings(made.target_id));
        }
    }
    Ok(Created::New(made))
}

fn to_make(row: &Row, new: &NewSession, id: JobId) -> Result<Job, StoreError> {
    let row = Reader::new(row, "session");
    Ok(Job::CreateSession(CreateSessionJob {
        id,
        correlation_id: new.request.to_string(),
        session_id: new.id,
        target: new.target.clone(),
        role: new.role.clone(),
        pack_version: row.get("pack_version")?,
        pack_digest: row.get("pack_digest")?,
        ttl_seconds: new.ttl.as_secs(),
        max_connections: new.max_connections,
        requester: job::Requester { user_id: new.requester.name.to_string(), email: row.get("email")? },
        reason: new.reason.as_ref().map(Reason::to_string),
        recipient_public_key: base64::engine::general_purpose::STANDARD.encode(new.recipient.to_bytes()),
    }))
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

/// A new session's job is leased at once to the agent that waits here, unless other jobs wait for one, or too many are
/// under way on the target. The actor's row is locked against being disabled: whoever disables an actor at this moment
/// either comes first, and nothing is made, or comes after the commit, and finds the session to end. While the ledger is
/// behind what was seen outside of it nothing is made: a job kept for later would give access when nobody waits for it
/// any more.
const INSERT: &str = concat!(
    "-- sessions::create
    WITH who AS MATERIALIZED (
        SELECT a.id, a.email FROM tokens k JOIN actors a ON a.id = k.actor_id
        WHERE k.id = $10 AND k.revoked_at IS NULL AND k.expires_at > now() AND a.disabled_at IS NULL
        FOR SHARE OF a
    ), t AS (
        SELECT t.id, t.name, p.version, p.digest, who.email
        FROM who CROSS JOIN targets t JOIN target_packs p ON p.target_id = t.id AND p.name = $5 AND p.fault IS NULL
        WHERE t.tenant_id = $1 AND t.name = $4 AND abs(coalesce(t.clock_skew_ms, 0)) <= $22
          AND NOT EXISTS (SELECT FROM recoveries r WHERE r.tenant_id = $1 AND r.accepted_at IS NULL) AND EXISTS (
            SELECT FROM agent_targets x JOIN agents g ON g.id = x.agent_id JOIN actors o ON o.id = g.actor_id
            WHERE x.target_id = t.id AND o.disabled_at IS NULL AND g.draining_at IS NULL
              AND g.last_seen_at > now() - make_interval(secs => $6))
    ), lease AS MATERIALIZED (
        SELECT x.agent_id FROM t JOIN agent_targets x ON x.target_id = t.id JOIN agents g ON g.id = x.agent_id
        WHERE x.agent_id = $23 AND g.draining_at IS NULL AND ",
    agent_works!(),
    " AND (
            SELECT count(*) FROM jobs l WHERE l.target_id = t.id AND l.lane = 1 AND l.state = 'leased' AND l.run_at > now()
        ) < $25 AND NOT EXISTS (
            SELECT FROM jobs q JOIN sessions w ON w.id = q.session_id
            WHERE q.target_id = t.id AND q.lane = 1 AND q.state IN ('queued', 'leased') AND q.run_at <= now()
              AND w.desired = 'present' AND w.ready_at IS NULL
        )
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
            provision_deadline, generation)
        SELECT $2, $1, t.id, $3, $10, $5, t.version, t.digest, $11, $12, $13, $14, $15, $16, $17, $18,
            now() + make_interval(secs => $19), 1 + (lease.agent_id IS NOT NULL)::int
        FROM key, t LEFT JOIN lease ON true
        RETURNING *
    ), j AS (
        INSERT INTO jobs (id, tenant_id, session_id, target_id, kind, lane, correlation_id, state, run_at, attempt, agent_id,
            lease_token, lease_generation)
        SELECT $20, $1, s.id, s.target_id, 'create', 1, $18,
            ",
    offered!("$24", "$26"),
    "
        FROM s LEFT JOIN lease l ON true
    )
    SELECT ",
    session_columns!(),
    ", s.pack_digest, t.email, EXISTS (SELECT FROM lease) AS leased FROM s, t, (SELECT $21::text AS name) a"
);

fn params(new: &NewSession, job: JobId, offer: Option<&Offer>) -> Vec<Param> {
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
        offer.map(|offer| offer.agent().uuid()),
        offer.map(|offer| offer.token().to_owned()),
        TARGET_CAP,
        LEASE.as_secs_f64(),
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
