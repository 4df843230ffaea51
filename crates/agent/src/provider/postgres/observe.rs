//! Observe: every role of ours as the target's own catalog has it, and the target's clock beside.

use std::time::Instant;

use futures_util::future::join;
use gk_shared::wire::agent::{ObservedRole, RoleState};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{PostgresTarget, one, others, query, session_in};
use crate::provider::Observed;
use crate::provider::error::ProviderError;

const CLOCK: &str = "-- provider::observe clock\nSELECT gk.clock()";
const ROLES: &str = "-- provider::observe\n\
    SELECT session, gen, state, armed, role_exists, valid_until, backends, detail FROM gk.observe()";

pub(super) async fn observe(target: &PostgresTarget) -> Result<Observed, ProviderError> {
    let client = target.pools.urgent.get().await?;
    let (told, roles) =
        join(async { (query(&client, CLOCK, &[]).await, Instant::now()) }, query(&client, ROLES, &[])).await;
    let (told, arrived) = (one(told.0?)?, told.1);
    let at: Timestamp = told.try_get(0)?;
    let mut seen = Vec::new();
    for row in roles? {
        seen.extend(read(&row)?);
    }
    target.clock.learn(at, arrived);
    let alone = !target.pools.servers.are_several();
    if !alone {
        seen.iter_mut().for_each(not_gone_everywhere);
        others::add_connected(target, &mut seen).await;
    }
    Ok(Observed { at, clock_jump: target.clock.take_moved(), roles: seen, alone })
}

/// What is gone here may have connections on a standby: only an end that looked there says that it is over.
fn not_gone_everywhere(role: &mut ObservedRole) {
    if role.state == RoleState::Dropped {
        role.state = RoleState::Disarmed;
    }
}

/// One role. Names of our pattern that stand for no session are nobody's, and are left out.
fn read(row: &Row) -> Result<Option<ObservedRole>, ProviderError> {
    let Some(session_id) = session_in(row, "session")? else { return Ok(None) };
    let state: String = row.try_get("state")?;
    let exists: bool = row.try_get("role_exists")?;
    Ok(Some(ObservedRole {
        session_id,
        generation: row.try_get::<_, Option<i64>>("gen")?.unwrap_or(0),
        state: state_of(&state, exists),
        armed: row.try_get("armed")?,
        backends: row.try_get("backends")?,
        valid_until: row.try_get("valid_until")?,
        detail: row.try_get("detail")?,
    }))
}

/// A row that is open although its role is gone is as good as dropped; the next sweep closes it.
fn state_of(state: &str, exists: bool) -> RoleState {
    match state {
        "orphan" => RoleState::Orphan,
        "replaced" => RoleState::Replaced,
        _ if !exists => RoleState::Dropped,
        "minted" => RoleState::Minted,
        "disarmed" => RoleState::Disarmed,
        // `blocked` and `stuck`: whether it can still log in stands in `armed`.
        _ => RoleState::Stuck,
    }
}
