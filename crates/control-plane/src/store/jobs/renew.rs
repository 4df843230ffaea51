//! Renewing a lease, while its session still wants what the lease is for.

use std::time::Duration;

use gk_shared::ids::JobId;
use gk_shared::wire::job::RenewJob;
use tokio_postgres::types::ToSql;

use super::LEASE;
use crate::store::tokens::AgentIdentity;
use crate::store::{Lane, Ledger, StoreError};

const RENEW: &str = "-- jobs::renew
    UPDATE jobs j SET run_at = now() + make_interval(secs => $5) FROM sessions s
    WHERE j.id = $1 AND j.agent_id = $2 AND j.lease_token = $3 AND j.lease_generation = $4 AND j.state = 'leased'
      AND s.id = j.session_id AND s.generation = j.lease_generation
    RETURNING j.id";

/// How long the lease holds from now on; `None` if it is somebody else's by now, or the session's intent has changed.
///
/// # Errors
/// The ledger's own trouble.
pub async fn renew(
    ledger: &Ledger,
    agent: &AgentIdentity,
    job: JobId,
    held: &RenewJob,
) -> Result<Option<Duration>, StoreError> {
    let params: [&(dyn ToSql + Sync); 5] =
        [&job.uuid(), &agent.id.uuid(), &held.lease_token, &held.generation, &LEASE.as_secs_f64()];
    let renewed = ledger.query_in(Lane::Ending, RENEW, &params).await?;
    Ok((!renewed.is_empty()).then_some(LEASE))
}
