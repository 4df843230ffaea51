//! Observations: what an agent saw on a target, held against what is wanted.
//!
//! The look is taken at the target a moment before it arrives, so whatever changed here within [`GRACE`] is left to the
//! next look. What is decided for one role is a pure function (`reconcile.rs`); the rest is carrying it out.

mod apply;
pub(in crate::store) mod reconcile;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use gk_shared::ids::{SessionId, TargetId};
use gk_shared::session::{Desired, Observed};
use gk_shared::wire::agent::{Intents, Observation, SessionIntent};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::row::Reader;
use super::tokens::AgentIdentity;
use super::{Lane, Ledger, Origin, StoreError, recovery};
use reconcile::{Known, Step, dropped, missing, seen};

/// How old a change here has to be before an observation may contradict it.
pub const GRACE: Duration = Duration::from_secs(15);

/// How much earlier than the ledger a target may find that a session's time is up.
const SKEW: Duration = Duration::from_secs(5);

/// Answer to an observation.
#[derive(Debug, Clone)]
pub enum Sight {
    /// What is wanted of each session that it named.
    Intents(Intents),
    /// The agent does not serve this target.
    NotServed,
}

/// A target at the moment of an observation.
struct Look<'o> {
    target: TargetId,
    observation: &'o Observation,
    known: HashMap<SessionId, Known>,
}

const TARGET: &str = "-- observe::target
    UPDATE targets t SET observed_at = CASE WHEN $3 THEN now() ELSE observed_at END,
        observed_roles = CASE WHEN $3 THEN $4 ELSE observed_roles END,
        clock_skew_ms = (extract(epoch FROM $5::timestamptz - clock_timestamp()) * 1000)::bigint
    FROM agent_targets x
    WHERE t.tenant_id = $6 AND t.name = $2 AND x.target_id = t.id AND x.agent_id = $1
    RETURNING t.id";
const SESSIONS: &str = "-- observe::sessions
    SELECT s.id, s.desired, s.observed, s.generation, s.observed_generation, s.backends, s.ready_at IS NOT NULL AS ready,
        s.cut_at IS NOT NULL AS cut, s.ended_at IS NOT NULL AS ended, coalesce(s.expires_at <= now() + make_interval(secs => $5), false) AS over,
        greatest(s.ready_at, s.cut_at, s.ended_at) < now() - make_interval(secs => $3) AS settled
    FROM sessions s
    WHERE s.target_id = $1 AND (s.id = ANY ($2) OR ($4 AND s.desired = 'present' AND s.observed = 'armed'
        AND s.ready_at < now() - make_interval(secs => $3)))";

/// Takes what an agent saw, mends what contradicts the intent, and answers with the intent.
///
/// # Errors
/// The ledger's own trouble.
pub async fn observe(
    ledger: &Ledger,
    agent: &AgentIdentity,
    origin: Origin,
    observation: &Observation,
) -> Result<Sight, StoreError> {
    // The net under every end.
    let ledger = &ledger.in_lane(Lane::Ending);
    let roles = i64::try_from(observation.roles.len()).unwrap_or(i64::MAX);
    let name = observation.target.as_str();
    let params: [&(dyn ToSql + Sync); 6] =
        [&agent.id.uuid(), &name, &observation.complete, &roles, &observation.target_time, &Ledger::tenant().uuid()];
    let Some(row) = ledger.opt(TARGET, &params).await? else { return Ok(Sight::NotServed) };
    let target = Reader::new(&row, "target").id("id", TargetId::from_uuid)?;
    let known = known(ledger, target, observation).await?;
    let look = Look { target, observation, known };
    let steps = plan(&look);
    apply::apply(ledger, origin, &look, &steps).await?;
    let mut answer = intents(&look, &steps);
    if !answer.unknown.is_empty() {
        end_condemned(&recovery::condemned(ledger, target).await?, &look, &mut answer);
    }
    Ok(Sight::Intents(answer))
}

async fn known(
    ledger: &Ledger,
    target: TargetId,
    observation: &Observation,
) -> Result<HashMap<SessionId, Known>, StoreError> {
    let named: Vec<Uuid> = named(observation).map(|id| id.uuid()).collect();
    let (grace, skew) = (GRACE.as_secs_f64(), SKEW.as_secs_f64());
    let params: [&(dyn ToSql + Sync); 5] = [&target.uuid(), &named, &grace, &observation.complete, &skew];
    let rows = ledger.query(SESSIONS, &params).await?;
    rows.iter().map(session).collect()
}

fn session(row: &Row) -> Result<(SessionId, Known), StoreError> {
    let row = Reader::new(row, "session");
    let known = Known {
        desired: row.parse::<Desired>("desired")?,
        observed: row.parse::<Observed>("observed")?,
        generation: row.get("generation")?,
        observed_generation: row.get("observed_generation")?,
        backends: row.get("backends")?,
        ready: row.get("ready")?,
        cut: row.get("cut")?,
        ended: row.get("ended")?,
        over: row.get("over")?,
        settled: row.get::<Option<bool>>("settled")?.unwrap_or(false),
    };
    Ok((row.id("id", SessionId::from_uuid)?, known))
}

fn named(observation: &Observation) -> impl Iterator<Item = SessionId> + '_ {
    observation.roles.iter().map(|role| role.session_id).chain(observation.dropped.iter().copied())
}

/// What to do about each session: those that were dropped, those that were seen, those that were not.
fn plan(look: &Look<'_>) -> Vec<(SessionId, Step)> {
    let mut steps = Vec::new();
    // A role that was dropped behind our back may leave connections behind: what was seen alive is not gone.
    let alive = look.observation.roles.iter().filter(|role| role.armed || role.backends > 0);
    let alive: HashSet<&SessionId> = alive.map(|role| &role.session_id).collect();
    let gone: HashSet<&SessionId> = look.observation.dropped.iter().filter(|id| !alive.contains(id)).collect();
    for id in look.observation.dropped.iter().filter(|id| gone.contains(id)) {
        steps.push((*id, look.known.get(id).map_or(Step::Nothing, dropped)));
    }
    for role in look.observation.roles.iter().filter(|role| !gone.contains(&role.session_id)) {
        // Whether its time is up is for the target's clock to say, too.
        let over = role.valid_until.is_some_and(|end| end <= look.observation.target_time);
        let known = look.known.get(&role.session_id).map(|known| Known { over: known.over || over, ..*known });
        steps.push((role.session_id, known.map_or(Step::Orphan, |known| seen(&known, role))));
    }
    if look.observation.complete {
        let named: HashSet<SessionId> = named(look.observation).collect();
        let unseen = look.known.iter().filter(|(id, _)| !named.contains(id));
        steps.extend(unseen.map(|(id, known)| (*id, missing(known))));
    }
    steps
}

/// What an admin wants ended although the ledger does not know it is wanted absent like any other.
fn end_condemned(condemned: &HashSet<SessionId>, look: &Look<'_>, answer: &mut Intents) {
    let unknown = std::mem::take(&mut answer.unknown);
    let (ending, left): (Vec<_>, Vec<_>) = unknown.into_iter().partition(|id| condemned.contains(id));
    answer.unknown = left;
    let seen = |id| look.observation.roles.iter().find(|role| role.session_id == id).map_or(1, |role| role.generation);
    answer.intents.extend(ending.into_iter().map(|session_id| SessionIntent {
        session_id,
        desired: Desired::Absent,
        generation: seen(session_id).max(1),
    }));
}

/// Sessions that are further on the target than here: only a ledger that went back has such.
fn ahead(look: &Look<'_>) -> Vec<(SessionId, i64)> {
    let roles = look.observation.roles.iter();
    roles
        .filter(|role| look.known.get(&role.session_id).is_some_and(|known| role.generation > known.generation))
        .map(|role| (role.session_id, role.generation))
        .collect()
}

/// The answer: what the steps have just changed is wanted absent with one generation more.
fn intents(look: &Look<'_>, steps: &[(SessionId, Step)]) -> Intents {
    let mut answer = Intents { intents: Vec::new(), unknown: Vec::new() };
    let seen: HashMap<SessionId, i64> =
        look.observation.roles.iter().map(|role| (role.session_id, role.generation)).collect();
    for (id, step) in steps {
        let Some(known) = look.known.get(id) else {
            answer.unknown.push(*id);
            continue;
        };
        let changed = match step {
            Step::Lost { .. } | Step::Expired { .. } | Step::Resurrected => 1,
            Step::Nothing | Step::Note | Step::Hurry | Step::Gone | Step::Orphan => 0,
        };
        let ending = known.desired == Desired::Absent || changed == 1;
        let desired = if ending { Desired::Absent } else { Desired::Present };
        let mut generation = known.generation + changed;
        // A ledger that was restored is behind its targets; an end must not be taken for a late one there.
        if ending {
            generation = generation.max(seen.get(id).copied().unwrap_or_default());
        }
        answer.intents.push(SessionIntent { session_id: *id, desired, generation });
    }
    answer
}
