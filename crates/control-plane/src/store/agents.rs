//! Agents: enrolment, and what they report of their targets.

use std::time::Duration;

use gk_shared::audit::AuditAction;
use gk_shared::ids::{ActorId, AgentId, TargetId};
use gk_shared::names::{ActorName, AgentName, PackName, TargetName};
use gk_shared::secret::BearerToken;
use gk_shared::wire::agent::{
    AgentIdentityKind, AgentView, EnrollAgent, EnrolledAgent, Heartbeat, HeartbeatAnswer, RevokedAgent, TargetHealth,
};
use gk_shared::wire::token::Scope;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::actors::{self, ActorKind, ActorSpec};
use super::event::clean;
use super::row::Reader;
use super::tokens::{self, AgentIdentity, TokenKind};
use super::{AuditedTx, Event, Lane, Ledger, Origin, StoreError};
use crate::wakeups::Wake;

/// An agent that was heard of within this time counts as online.
pub const ONLINE_SECONDS: i32 = 30;

/// Enrols an agent: its actor, its targets (made where they are new) and a token. Enrolling a name again gives it these
/// targets instead of those it had, and one more token; if it drained, it is given sessions again.
///
/// # Errors
/// The ledger's own trouble.
pub async fn enroll(
    ledger: &Ledger,
    origin: Origin,
    ask: &EnrollAgent,
    life: Duration,
) -> Result<EnrolledAgent, StoreError> {
    let tx = ledger.begin(Lane::Normal, origin).await?;
    let name: ActorName = ask.name.as_str().parse().expect("agents and actors have the same rule for names");
    let actor = actors::upsert(&tx, &ActorSpec { name, kind: ActorKind::Agent, groups: None, email: None }).await?;
    let agent = upsert(&tx, actor).await?;
    serve(&tx, agent, &ask.targets).await?;
    let kind = match ask.identity {
        AgentIdentityKind::Token => TokenKind::Bearer,
        AgentIdentityKind::Certificate => TokenKind::Enrolment,
    };
    let token = BearerToken::generate(ledger.random_bytes());
    let made = tokens::insert(&tx, actor, (token, kind), (&[Scope::Agent], life)).await?;
    let targets = ask.targets.iter().map(TargetName::as_str).collect::<Vec<_>>().join(",");
    let event = Event::new(AuditAction::AgentEnrolled, agent)
        .fact("agent", &ask.name)
        .fact("targets", targets)
        .fact("token", made.id)
        .fact_opt("kind", (kind == TokenKind::Enrolment).then_some(kind.as_str()))
        .fact("expires_at", made.expires_at);
    tx.record(event).commit().await?;
    Ok(EnrolledAgent {
        agent_id: agent,
        name: ask.name.clone(),
        targets: ask.targets.clone(),
        token: made.token.into(),
        expires_at: made.expires_at,
    })
}

const SHOWS_CERTIFICATE: &str = "-- agents::shows_certificate
    SELECT EXISTS (SELECT FROM tokens k JOIN actors o ON o.id = k.actor_id
        WHERE o.tenant_id = $1 AND o.kind = 'agent' AND o.name = $2 AND k.kind = 'certificate'
        AND k.revoked_at IS NULL AND k.expires_at > clock_timestamp()) AS shows";

/// Whether the agent of this name has a certificate that works.
///
/// # Errors
/// The ledger's own trouble.
pub async fn shows_certificate(ledger: &Ledger, name: &AgentName) -> Result<bool, StoreError> {
    let row = ledger.one(SHOWS_CERTIFICATE, &[&Ledger::tenant().uuid(), &name.as_str()]).await?;
    Reader::new(&row, "agent").get("shows")
}

const FIND: &str = "-- agents::find
    SELECT g.id, g.actor_id FROM agents g JOIN actors o ON o.id = g.actor_id
    WHERE g.tenant_id = $1 AND o.kind = 'agent' AND o.name = $2";
/// Whoever certifies the agent at this moment comes before, and what it made is found, or after, and finds nothing to show.
const HOLD: &str = "-- agents::hold
    SELECT id FROM actors WHERE id = $1 FOR NO KEY UPDATE";
const REVOKE: &str = "-- agents::revoke
    UPDATE tokens SET revoked_at = now() WHERE actor_id = $1 AND revoked_at IS NULL AND expires_at > now() RETURNING id";

/// Revokes all that the agent of this name has: tokens, certificates, one-time tokens. `None` if there is no such agent.
///
/// # Errors
/// The ledger's own trouble.
pub async fn revoke(ledger: &Ledger, origin: Origin, name: &AgentName) -> Result<Option<RevokedAgent>, StoreError> {
    let tx = ledger.begin(Lane::Ending, origin).await?;
    let Some(row) = tx.opt(FIND, &[&Ledger::tenant().uuid(), &name.as_str()]).await? else { return Ok(None) };
    let row = Reader::new(&row, "agent");
    let (agent_id, actor): (_, Uuid) = (row.id("id", AgentId::from_uuid)?, row.get("actor_id")?);
    tx.query(HOLD, &[&actor]).await?;
    let revoked = u32::try_from(tx.query(REVOKE, &[&actor]).await?.len()).unwrap_or(u32::MAX);
    let event = Event::new(AuditAction::AgentRevoked, agent_id).fact("agent", name).fact("revoked", revoked);
    tx.record(event).commit().await?;
    Ok(Some(RevokedAgent { agent_id, name: name.clone(), revoked }))
}

const UPSERT: &str = "-- agents::upsert
    INSERT INTO agents (id, tenant_id, actor_id) VALUES ($1, $2, $3)
    ON CONFLICT (actor_id) DO UPDATE SET draining_at = NULL RETURNING id";

async fn upsert(tx: &AuditedTx, actor: ActorId) -> Result<AgentId, StoreError> {
    let fresh: AgentId = tx.fresh();
    let row = tx.one(UPSERT, &[&fresh.uuid(), &Ledger::tenant().uuid(), &actor.uuid()]).await?;
    Reader::new(&row, "agent").id("id", AgentId::from_uuid)
}

const MAKE_TARGETS: &str = "-- agents::make_targets
    INSERT INTO targets (id, tenant_id, name) SELECT n.id, $1, n.name FROM unnest($2::uuid[], $3::text[]) n (id, name)
    ON CONFLICT (tenant_id, name) DO NOTHING";
const UNSERVE: &str = "-- agents::unserve
    DELETE FROM agent_targets x USING targets t WHERE x.agent_id = $1 AND t.id = x.target_id AND t.name <> ALL ($2)";
const SERVE: &str = "-- agents::serve
    INSERT INTO agent_targets (agent_id, target_id, tenant_id)
    SELECT $1, t.id, t.tenant_id FROM targets t WHERE t.tenant_id = $2 AND t.name = ANY ($3)
    ON CONFLICT DO NOTHING";

async fn serve(tx: &AuditedTx, agent: AgentId, targets: &[TargetName]) -> Result<(), StoreError> {
    let names: Vec<&str> = targets.iter().map(TargetName::as_str).collect();
    let ids: Vec<Uuid> = targets.iter().map(|_| tx.fresh::<TargetId>().uuid()).collect();
    let tenant = Ledger::tenant().uuid();
    tx.query(MAKE_TARGETS, &[&tenant, &ids, &names]).await?;
    tx.query(UNSERVE, &[&agent.uuid(), &names]).await?;
    tx.query(SERVE, &[&agent.uuid(), &tenant, &names]).await?;
    Ok(())
}

const DRAIN: &str = "-- agents::drain
    UPDATE agents SET draining_at = CASE WHEN $2 THEN coalesce(draining_at, now()) END WHERE id = $1";

/// Gives an agent no new sessions from now on, or again; it goes on ending those there are. `None` if there is no such
/// agent.
///
/// # Errors
/// The ledger's own trouble.
pub async fn drain(
    ledger: &Ledger,
    origin: Origin,
    name: &AgentName,
    drain: bool,
) -> Result<Option<AgentView>, StoreError> {
    let tx = ledger.begin(Lane::Normal, origin).await?;
    let Some(row) = tx.opt(FIND, &[&Ledger::tenant().uuid(), &name.as_str()]).await? else { return Ok(None) };
    let agent_id = Reader::new(&row, "agent").id("id", AgentId::from_uuid)?;
    tx.query(DRAIN, &[&agent_id.uuid(), &drain]).await?;
    let action = if drain { AuditAction::AgentDraining } else { AuditAction::AgentResumed };
    tx.record(Event::new(action, agent_id).fact("agent", name)).commit().await?;
    Ok(list(ledger).await?.into_iter().find(|agent| agent.agent_id == agent_id))
}

const LIST: &str = "-- agents::list
    SELECT g.id, o.name, g.version, g.last_seen_at, g.draining_at,
        (SELECT count(*) FROM jobs j WHERE j.agent_id = g.id AND j.state = 'leased' AND j.run_at > now()) AS jobs,
        coalesce(g.last_seen_at > now() - make_interval(secs => $2) AND o.disabled_at IS NULL, false) AS online,
        ARRAY(SELECT t.name FROM agent_targets x JOIN targets t ON t.id = x.target_id
              WHERE x.agent_id = g.id ORDER BY t.name) AS targets
    FROM agents g JOIN actors o ON o.id = g.actor_id WHERE g.tenant_id = $1 ORDER BY o.name";

/// All agents, by name.
///
/// # Errors
/// The ledger's own trouble.
pub async fn list(ledger: &Ledger) -> Result<Vec<AgentView>, StoreError> {
    let params: [&(dyn ToSql + Sync); 2] = [&Ledger::tenant().uuid(), &f64::from(ONLINE_SECONDS)];
    ledger.query(LIST, &params).await?.iter().map(view).collect()
}

fn view(row: &Row) -> Result<AgentView, StoreError> {
    let row = Reader::new(row, "agent");
    Ok(AgentView {
        agent_id: row.id("id", AgentId::from_uuid)?,
        name: row.parse("name")?,
        targets: row.parse_all("targets")?,
        version: row.get("version")?,
        last_seen_at: row.get("last_seen_at")?,
        online: row.get("online")?,
        draining_at: row.get("draining_at")?,
        jobs: row.get("jobs")?,
    })
}

const SEEN: &str = "-- agents::seen
    UPDATE agents SET last_seen_at = now(), version = $2 WHERE id = $1 RETURNING clock_timestamp() AS now";

/// Takes an agent's report on itself and its targets.
///
/// # Errors
/// The ledger's own trouble.
pub async fn heartbeat(
    ledger: &Ledger,
    agent: &AgentIdentity,
    report: &Heartbeat,
    own_version: &str,
) -> Result<HeartbeatAnswer, StoreError> {
    // An agent whose pulse waits behind new sessions would look dead to those who end them.
    let ledger = &ledger.in_lane(Lane::Ending);
    let version: String = clean(&report.version).chars().take(64).collect();
    let row = ledger.one(SEEN, &[&agent.id.uuid(), &version]).await?;
    let ledger_time = Reader::new(&row, "agent").get("now")?;
    let mut refused_targets = Vec::new();
    for health in &report.targets {
        match take_health(ledger, agent, health).await? {
            Some(target) if health.reachable => take_packs(ledger, target, health).await?,
            Some(_) => {}
            None => refused_targets.push(health.target.clone()),
        }
    }
    Ok(HeartbeatAnswer { version: own_version.to_owned(), ledger_time, refused_targets })
}

/// What an unreachable target cannot say is left as it was last known.
const HEALTH: &str = "-- agents::health
    WITH before AS (SELECT id, reachable, endpoints FROM targets WHERE tenant_id = $10 AND name = $2 FOR UPDATE)
    UPDATE targets t SET host = $3, port = $4, database = $5, reachable = $6, fault = $7,
        server_version = coalesce($8, server_version), helpers_version = coalesce($9, helpers_version),
        clock_skew_ms = coalesce((extract(epoch FROM $11::timestamptz - clock_timestamp()) * 1000)::bigint, clock_skew_ms),
        endpoints = $12, health_at = now()
    FROM agent_targets x, before b
    WHERE t.id = b.id AND x.target_id = t.id AND x.agent_id = $1
    RETURNING t.id, $6 AND NOT b.reachable AS back,
        b.endpoints @? '$[*].error' AND NOT coalesce($12 @? '$[*].error', false) AS whole";

const HURRY: &str = "-- agents::hurry
    UPDATE jobs SET run_at = now() WHERE id IN (
        SELECT id FROM jobs WHERE target_id = $1 AND kind = 'revoke' AND state = 'queued' AND run_at > now()
        FOR UPDATE SKIP LOCKED)";

async fn take_health(
    ledger: &Ledger,
    agent: &AgentIdentity,
    health: &TargetHealth,
) -> Result<Option<TargetId>, StoreError> {
    let port = (health.port != 0).then(|| i32::from(health.port));
    let target = health.target.as_str();
    let endpoints = (!health.endpoints.is_empty()).then(|| serde_json::json!(health.endpoints));
    let params: [&(dyn ToSql + Sync); 12] = [
        &agent.id.uuid(),
        &target,
        &clean(&health.host),
        &port,
        &clean(&health.database),
        &health.reachable,
        &health.error.as_deref().map(clean),
        &health.server_version.as_deref().map(clean),
        &health.helpers_version.as_deref().map(clean),
        &Ledger::tenant().uuid(),
        &health.target_time,
        &endpoints,
    ];
    let Some(row) = ledger.opt(HEALTH, &params).await? else { return Ok(None) };
    let row = Reader::new(&row, "target");
    let id = row.id("id", TargetId::from_uuid)?;
    if row.get("back")? {
        ledger.wakeups().wake(Wake::Ends(id));
        ledger.wakeups().wake(Wake::Beginnings(id));
    }
    if row.get::<Option<bool>>("whole")?.unwrap_or(false) {
        // Ends waited for the server that is back: no pause before the next try.
        ledger.query(HURRY, &[&id.uuid()]).await?;
        ledger.wakeups().wake(Wake::Ends(id));
    }
    Ok(Some(id))
}

/// Of each pack the newest version that can be used. Packs that are no longer reported are no longer there. A version with a new digest is a new row of `packs`.
const PACKS: &str = "-- agents::packs
    WITH reported AS (
        SELECT DISTINCT ON (p.name) p.* FROM unnest($3::text[], $4::text[], $5::text[], $6::text[])
            AS p (name, version, digest, fault)
        ORDER BY p.name, (p.fault IS NULL) DESC,
            ARRAY(SELECT m[1]::bigint FROM regexp_matches(p.version, '[0-9]{1,9}', 'g') m) DESC
    ), known AS (
        INSERT INTO packs (tenant_id, name, version, digest) SELECT $2, name, version, digest FROM reported
        ON CONFLICT DO NOTHING
    ), gone AS (
        DELETE FROM target_packs WHERE target_id = $1 AND name <> ALL ($3)
    )
    INSERT INTO target_packs AS t (target_id, tenant_id, name, version, digest, fault)
    SELECT $1, $2, name, version, digest, fault FROM reported
    ON CONFLICT (target_id, name) DO UPDATE
        SET version = excluded.version, digest = excluded.digest, fault = excluded.fault, reported_at = now()";

async fn take_packs(ledger: &Ledger, target: TargetId, health: &TargetHealth) -> Result<(), StoreError> {
    let (good, bad): (Vec<_>, Vec<_>) = health.packs.iter().partition(|pack| {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        // Targets name the hash function in front; the column takes it with and without.
        let digest = pack.digest.strip_prefix("sha256:").unwrap_or(&pack.digest);
        pack.name.parse::<PackName>().is_ok() && digest.len() == 64 && digest.bytes().all(hex)
    });
    if !bad.is_empty() {
        tracing::warn!(target = %health.target, count = bad.len(), "an agent reported packs with malformed names or digests");
    }
    let names: Vec<&str> = good.iter().map(|pack| pack.name.as_str()).collect();
    let versions: Vec<String> = good.iter().map(|pack| clean(&pack.version)).collect();
    let digests: Vec<&str> = good.iter().map(|pack| pack.digest.as_str()).collect();
    let faults: Vec<Option<String>> = good.iter().map(|pack| pack.fault.as_deref().map(clean)).collect();
    let params: [&(dyn ToSql + Sync); 6] =
        [&target.uuid(), &Ledger::tenant().uuid(), &names, &versions, &digests, &faults];
    ledger.query(PACKS, &params).await.map(drop)
}
