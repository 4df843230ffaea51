//! Extend: moves a session's end. The target bounds it by the pack's limit, and refuses it for a session that has ended.
//!
//! Always holds: the new end is an instant of the target's clock that is computed once, so trying again never adds to it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_postgres::types::Type;

use super::retry::{Budget, retrying};
use super::{PostgresTarget, not_about_packs, not_after, one, query_as};
use crate::provider::ExtendRequest;
use crate::provider::error::{Failure, ProviderError};

const PATIENCE: Duration = Duration::from_secs(4);
const SQL: &str = "-- provider::extend\nSELECT valid_until FROM gk.extend($1, $2, $3, $4)";

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
    let session = act.session.to_string();
    let params = [
        (&session as _, Type::TEXT),
        (&act.generation as _, Type::INT8),
        (&until as _, Type::TIMESTAMPTZ),
        (&not_after as _, Type::TIMESTAMPTZ),
    ];
    let row = one(query_as(&client, &act.correlation, SQL, &params).await?)?;
    Ok(row.try_get(0)?)
}
