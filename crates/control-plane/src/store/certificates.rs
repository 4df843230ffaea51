//! Certificates of agents, found by their fingerprints as tokens are by their hashes.
//!
//! Always holds: a one-time token gives one certificate, whoever tries at the same moment; an agent that got a
//! certificate has no bearer token left that works.

use gk_edge::certificate::Fingerprint;
use gk_shared::audit::AuditAction;
use gk_shared::ids::TokenId;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::row::Reader;
use super::tokens::AgentIdentity;
use super::{AuditedTx, Event, Lane, Ledger, Origin, StoreError};

/// A certificate that was signed and is to be known.
#[derive(Debug, Clone, Copy)]
pub struct NewCertificate {
    /// Its id, which is its serial number, too.
    pub id: TokenId,
    /// Which one it is.
    pub fingerprint: Fingerprint,
    /// Until when it holds.
    pub until: Timestamp,
}

const USE_UP: &str = "-- certificates::use_up
    UPDATE tokens SET revoked_at = now(), last_used_at = now()
    WHERE id = $1 AND kind = 'enrolment' AND revoked_at IS NULL AND expires_at > now() RETURNING actor_id";
const NO_MORE_BEARERS: &str = "-- certificates::no_more_bearers
    UPDATE tokens SET revoked_at = now() WHERE actor_id = $1 AND kind = 'bearer' AND revoked_at IS NULL";
/// Whoever revokes the agent at this moment comes before, and what was shown is of no use, or after, and finds what is
/// made here. A statement of its own, so that the next one sees what was waited for.
const HOLD_AGENT: &str = "-- certificates::hold_agent
    SELECT o.id FROM agents g JOIN actors o ON o.id = g.actor_id WHERE g.id = $1 FOR SHARE OF o";
const OWNER: &str = "-- certificates::owner
    SELECT actor_id FROM tokens WHERE id = $1 AND kind = 'certificate' AND revoked_at IS NULL AND expires_at > now()";
const INSERT: &str = "-- certificates::insert
    INSERT INTO tokens (id, tenant_id, actor_id, hash, scopes, expires_at, kind)
    VALUES ($1, $2, $3, $4, ARRAY['agent'], $5, 'certificate')";

/// Lets a certificate stand for the agent, in exchange for its one-time token. False if that is used up.
///
/// # Errors
/// The ledger's own trouble.
pub async fn enrol(
    ledger: &Ledger,
    origin: Origin,
    (agent, token): (&AgentIdentity, TokenId),
    new: &NewCertificate,
) -> Result<bool, StoreError> {
    let tx = ledger.begin(Lane::Normal, origin).await?;
    tx.query(HOLD_AGENT, &[&agent.id.uuid()]).await?;
    let Some(row) = tx.opt(USE_UP, &[&token.uuid()]).await? else { return Ok(false) };
    let actor: Uuid = Reader::new(&row, "token").get("actor_id")?;
    tx.query(NO_MORE_BEARERS, &[&actor]).await?;
    insert(tx, (agent, actor), new, ("token", token)).await?;
    Ok(true)
}

/// Lets the next certificate stand for an agent that showed the one before. False if that one is of no use any more.
///
/// # Errors
/// The ledger's own trouble.
pub async fn renew(
    ledger: &Ledger,
    origin: Origin,
    (agent, shown): (&AgentIdentity, TokenId),
    new: &NewCertificate,
) -> Result<bool, StoreError> {
    let tx = ledger.begin(Lane::Normal, origin).await?;
    tx.query(HOLD_AGENT, &[&agent.id.uuid()]).await?;
    let Some(row) = tx.opt(OWNER, &[&shown.uuid()]).await? else { return Ok(false) };
    let actor: Uuid = Reader::new(&row, "token").get("actor_id")?;
    insert(tx, (agent, actor), new, ("in_place_of", shown)).await?;
    Ok(true)
}

async fn insert(
    tx: AuditedTx,
    (agent, actor): (&AgentIdentity, Uuid),
    new: &NewCertificate,
    (how, before): (&str, TokenId),
) -> Result<(), StoreError> {
    let fingerprint = new.fingerprint.as_bytes().as_slice();
    let params: [&(dyn ToSql + Sync); 5] = [&new.id.uuid(), &Ledger::tenant().uuid(), &actor, &fingerprint, &new.until];
    tx.query(INSERT, &params).await?;
    let event = Event::new(AuditAction::AgentCertified, agent.id)
        .fact("agent", &agent.name)
        .fact("certificate", new.id)
        .fact("fingerprint", new.fingerprint)
        .fact("expires_at", new.until)
        .fact(how, before);
    tx.record(event).commit().await
}
