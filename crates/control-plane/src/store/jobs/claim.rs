//! Claiming jobs: one statement finds them, fences their sessions and leases them.

use std::time::Duration;

use base64::Engine as _;
use gk_shared::ids::{JobId, SessionId};
use gk_shared::names::TargetName;
use gk_shared::wire::job::{
    ClaimJobs, CreateSessionJob, ExtendSessionJob, Job, LeasedJob, Requester, RevokeSessionJob,
};
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::dispatch::Place;
use super::{LEASE, TARGET_CAP};
use crate::store::random::lease_token;
use crate::store::row::Reader;
use crate::store::tokens::AgentIdentity;
use crate::store::{Lane, Ledger, StoreError};
use crate::wakeups::Wake;

/// The longest that a claim waits.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Leases jobs to the agent, ends before beginnings; waits for some if there are none.
///
/// # Errors
/// The ledger's own trouble.
pub async fn claim(ledger: &Ledger, agent: &AgentIdentity, ask: &ClaimJobs) -> Result<Vec<LeasedJob>, StoreError> {
    let until = Instant::now() + Duration::from_millis(ask.wait_ms.into()).min(LONGEST_WAIT);
    let mut listener = ledger.wakeups().listen(&wakes(agent, ask));
    loop {
        let jobs = claim_now(ledger, agent, ask).await?;
        let left = until.saturating_duration_since(Instant::now());
        if !jobs.is_empty() || left.is_zero() {
            return Ok(jobs);
        }
        if let Some(job) = dispatched(ledger, agent, ask, listener.wait(left)).await {
            return Ok(vec![job]);
        }
    }
}

/// A job that somebody's request brings straight here, until there is a reason to look for others.
async fn dispatched(
    ledger: &Ledger,
    agent: &AgentIdentity,
    ask: &ClaimJobs,
    woken: impl Future<Output = ()>,
) -> Option<LeasedJob> {
    let mut place = Place::take(ledger, agent, ask);
    tokio::select! {
        biased;
        job = place.job() => job,
        () = woken => place.leave().await,
    }
}

/// Only what the free slots are for: an agent's two long polls need not wake each other.
fn wakes(agent: &AgentIdentity, ask: &ClaimJobs) -> Vec<Wake> {
    let ends = agent.targets.iter().filter(|_| ask.revoke_slots > 0).copied().map(Wake::Ends);
    let beginnings = agent.targets.iter().filter(|_| ask.create_slots > 0).copied().map(Wake::Beginnings);
    ends.chain(beginnings).collect()
}

/// `mine` are the agent's targets, if it was not revoked while it waited, those first whose oldest job waits longest; the
/// `turn` of a lane says which ends go first ([`super::lane_of_end`]), and those that keep failing come last. A job that
/// its session no longer needs is passed over here and tidied up elsewhere. A ledger that went back hands out ends alone,
/// and an agent that drains gets no beginnings. Sessions are locked in the order of their ids, as by
/// whoever ends many. The session's row has the last word: if its intent changed while this
/// statement ran, the UPDATE of `fenced` finds nothing and the job stays where it was.
const CLAIM: &str = concat!(
    "-- jobs::claim
    WITH granting AS MATERIALIZED (
        SELECT NOT EXISTS (SELECT FROM recoveries r WHERE r.accepted_at IS NULL) AS yes,
            NOT EXISTS (SELECT FROM agents g WHERE g.id = $1 AND g.draining_at IS NOT NULL) AS stays
    ), mine AS MATERIALIZED (
        SELECT t.id, t.name, (
            SELECT count(*) FROM jobs l WHERE l.target_id = t.id AND l.lane = 1 AND l.state = 'leased' AND l.run_at > now()
        ) AS busy
        FROM agent_targets x JOIN targets t ON t.id = x.target_id
        WHERE x.agent_id = $1 AND t.name <> ALL ($2) AND EXISTS (SELECT FROM agents g WHERE g.id = $1 AND ",
    agent_works!(),
    ")
    ), work AS MATERIALIZED (
        SELECT m.id, m.busy, l.lane, l.turn, (
            SELECT min(j.run_at) FROM jobs j
            WHERE j.target_id = m.id AND j.lane = l.lane AND j.state IN ('queued', 'leased')
        ) AS oldest
        FROM mine m CROSS JOIN (VALUES (0::smallint, 0), (1::smallint, 0), (3::smallint, 1), (2::smallint, 2)) l (lane, turn)
    ), ends AS MATERIALIZED (
        SELECT j.* FROM (SELECT * FROM work WHERE lane <> 1 AND oldest <= now() ORDER BY turn, oldest) w
        CROSS JOIN LATERAL (
            SELECT j.id, j.session_id, j.kind FROM jobs j JOIN sessions s ON s.id = j.session_id
            WHERE j.target_id = w.id AND j.lane = w.lane AND j.state IN ('queued', 'leased') AND j.run_at <= now()
              AND CASE j.kind WHEN 'revoke' THEN s.desired = 'absent' AND s.ended_at IS NULL
                              ELSE s.desired = 'present' AND s.observed = 'armed' AND (SELECT yes FROM granting) END
            ORDER BY j.run_at LIMIT $3 FOR UPDATE OF j SKIP LOCKED
        ) j
        LIMIT $3
    ), beginnings AS MATERIALIZED (
        SELECT j.* FROM (SELECT * FROM work WHERE lane = 1 AND oldest <= now() ORDER BY oldest) w
        CROSS JOIN LATERAL (
            SELECT j.id, j.session_id, j.kind FROM jobs j JOIN sessions s ON s.id = j.session_id
            WHERE j.target_id = w.id AND j.lane = 1 AND j.state IN ('queued', 'leased') AND j.run_at <= now()
              AND s.desired = 'present' AND s.ready_at IS NULL AND (SELECT yes AND stays FROM granting)
            ORDER BY j.run_at LIMIT least($4, greatest(0, $5 - w.busy)) FOR UPDATE OF j SKIP LOCKED
        ) j
        LIMIT $4
    ), due AS (
        SELECT *, row_number() OVER () AS place FROM (SELECT * FROM ends UNION ALL SELECT * FROM beginnings) d
    ), locked AS MATERIALIZED (
        SELECT s.id FROM sessions s WHERE s.id IN (SELECT b.session_id FROM beginnings b) AND s.desired = 'present'
        ORDER BY s.id FOR NO KEY UPDATE
    ), fenced AS (
        UPDATE sessions s SET generation = s.generation + 1 FROM locked b
        WHERE s.id = b.id AND s.desired = 'present'
        RETURNING s.id, s.generation
    ), leased AS (
        UPDATE jobs j SET state = 'leased', run_at = now() + make_interval(secs => $6), agent_id = $1,
            lease_token = ($7::text[])[d.place], lease_generation = coalesce(f.generation, s.generation),
            attempt = j.attempt + 1, result_digest = NULL
        FROM due d JOIN sessions s ON s.id = d.session_id LEFT JOIN fenced f ON f.id = d.session_id
        WHERE j.id = d.id AND (d.kind <> 'create' OR f.id IS NOT NULL)
        RETURNING j.*, d.place
    ), seen AS (
        UPDATE agents SET last_seen_at = now()
        WHERE id = $1 AND coalesce(last_seen_at < now() - interval '5 seconds', true)
    )
    SELECT j.id, j.kind, j.session_id, j.correlation_id, j.lease_token, j.lease_generation, j.attempt,
        CASE j.kind WHEN 'extend' THEN greatest(1, j.ttl_seconds - floor(extract(epoch FROM now() - j.created_at))::int)
             ELSE s.ttl_seconds END AS ttl_seconds, m.name AS target, s.pack, s.pack_version, s.pack_digest,
        s.max_connections, s.reason, s.end_reason, s.recipient_key, a.name AS requester, a.email
    FROM leased j JOIN sessions s ON s.id = j.session_id JOIN actors a ON a.id = s.actor_id JOIN mine m ON m.id = j.target_id
    ORDER BY j.place"
);

async fn claim_now(ledger: &Ledger, agent: &AgentIdentity, ask: &ClaimJobs) -> Result<Vec<LeasedJob>, StoreError> {
    let slots = usize::from(ask.create_slots) + usize::from(ask.revoke_slots);
    let tokens: Vec<String> = (0..slots.min(MOST)).map(|_| lease_token(ledger.randomness())).collect();
    let ends = i64::from(ask.revoke_slots).min(MOST_OF_A_LANE);
    let beginnings = i64::from(ask.create_slots).min(MOST_OF_A_LANE);
    let except: Vec<&str> = ask.except_targets.iter().map(TargetName::as_str).collect();
    let lease = LEASE.as_secs_f64();
    let params: [&(dyn ToSql + Sync); 7] =
        [&agent.id.uuid(), &except, &ends, &beginnings, &TARGET_CAP, &lease, &tokens];
    // The reserve: an agent that waits to end sessions is not held up by those who ask for new ones.
    let rows = ledger.query_in(Lane::Ending, CLAIM, &params).await?;
    rows.iter().map(leased).collect()
}

/// Jobs of one lane that one claim gets at most, whatever it asks for.
const MOST_OF_A_LANE: i64 = 128;
const MOST: usize = 256;

/// How long a new lease holds.
pub(in crate::store) fn lease_ms() -> u64 {
    u64::try_from(LEASE.as_millis()).expect("a lease is seconds")
}

fn leased(row: &Row) -> Result<LeasedJob, StoreError> {
    let row = Reader::new(row, "job");
    Ok(LeasedJob {
        job: job(&row)?,
        lease_token: row.get("lease_token")?,
        lease_ms: lease_ms(),
        generation: row.get("lease_generation")?,
        attempt: row.get("attempt")?,
    })
}

fn job(row: &Reader<'_>) -> Result<Job, StoreError> {
    let id = row.id("id", JobId::from_uuid)?;
    let session_id = row.id("session_id", SessionId::from_uuid)?;
    let correlation_id = row.get("correlation_id")?;
    let target = row.parse("target")?;
    match row.get("kind")? {
        "create" => create(row, (id, session_id, correlation_id, target)).map(Job::CreateSession),
        "revoke" => {
            let reason = row.parse("end_reason")?;
            Ok(Job::RevokeSession(RevokeSessionJob { id, correlation_id, session_id, target, reason }))
        }
        "extend" => {
            let ttl_seconds = row.narrow("ttl_seconds")?;
            Ok(Job::ExtendSession(ExtendSessionJob { id, correlation_id, session_id, target, ttl_seconds }))
        }
        other => Err(row.bad("kind", format!("`{other}` is no kind of job"))),
    }
}

fn create(
    row: &Reader<'_>,
    (id, session_id, correlation_id, target): (JobId, SessionId, String, TargetName),
) -> Result<CreateSessionJob, StoreError> {
    let connections: Option<i32> = row.get("max_connections")?;
    let max_connections =
        connections.map(u16::try_from).transpose().map_err(|error| row.bad("max_connections", error))?;
    let key: &[u8] = row.get("recipient_key")?;
    Ok(CreateSessionJob {
        id,
        correlation_id,
        session_id,
        target,
        role: row.parse("pack")?,
        pack_version: row.get("pack_version")?,
        pack_digest: row.get("pack_digest")?,
        ttl_seconds: row.narrow("ttl_seconds")?,
        max_connections,
        requester: Requester { user_id: row.get("requester")?, email: row.get("email")? },
        reason: row.get("reason")?,
        recipient_public_key: base64::engine::general_purpose::STANDARD.encode(key),
    })
}
