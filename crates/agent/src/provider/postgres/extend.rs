//! Extend: moves a session's end. The target bounds it by the pack's limit, and refuses it for a session that has ended.
//!
//! Always holds: the new end is an instant of the target's clock that is computed once, so trying again never adds to it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_postgres::types::{ToSql, Type};

use super::retry::{Budget, retrying};
use super::{PostgresTarget, not_about_packs, not_after, one, run_as};
use crate::provider::ExtendRequest;
use crate::provider::error::{Failure, ProviderError};

const PATIENCE: Duration = Duration::from_secs(4);
const SQL: &str = "-- provider::extend\nSELECT valid_until FROM gk.extend($1, $2, $3, $4)";
const TYPES: [Type; 4] = [Type::TEXT, Type::INT8, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ];

pub(super) async fn extend(target: &PostgresTarget, request: &ExtendRequest) -> Result<Timestamp, ProviderError> {
    let budget = Budget { time: PATIENCE, deadline: request.act.deadline.clone() };
    let now = retrying(budget.clone(), || target.read_clock(&target.pools.urgent)).await?;
    let until =
        now.checked_add(request.ttl).map_err(|error| ProviderError::new(Failure::Refused, error.to_string()))?;
    retrying(budget, || call(target, request, until)).await.map_err(not_about_packs)
}

async fn call(target: &PostgresTarget, request: &ExtendRequest, until: Timestamp) -> Result<Timestamp, ProviderError> {
    let act = &request.act;
    let now = match target.clock.fresh(Instant::now()) {
        Some(now) => now,
        None => target.read_clock(&target.pools.urgent).await?,
    };
    let not_after = not_after(now, &act.deadline)?;
    let client = target.pools.urgent.get().await?;
    let params: [&(dyn ToSql + Sync); 4] = [&act.session.to_string(), &act.generation, &until, &not_after];
    let row = one(run_as(&client, &act.correlation, (SQL, &TYPES), &params).await?)?;
    Ok(row.try_get(0)?)
}
