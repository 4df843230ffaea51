//! Mint: makes a login whose password the target never learns.
//!
//! Always holds: what travels is the verifier; a repeat carries the same generation and the same verifier, so an answer
//! that was lost is simply asked for again; and nothing comes into force after the caller's lease.

use std::time::{Duration, Instant};

use gk_shared::dsn::{DsnParts, PgDsn};
use gk_shared::ids::SessionId;
use gk_shared::secret::{Password, SecretDsn};
use jiff::Timestamp;
use tokio_postgres::types::{ToSql, Type};

use super::retry::{Budget, retrying};
use super::secrets::Secret;
use super::{PostgresTarget, not_after, one, run_as};
use crate::provider::error::{Failure, ProviderError};
use crate::provider::{MintRequest, Minted};

/// How long it is tried before the job goes back to the queue.
const PATIENCE: Duration = Duration::from_secs(4);

const SQL: &str = "-- provider::mint\n\
    SELECT role_name, valid_until, outcome \
    FROM gk.mint($1, $2, $3, $4, $5, $6, $7, make_interval(secs => $8), $9, $10)";
const TYPES: [Type; 10] = [
    Type::TEXT,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::FLOAT8,
    Type::TIMESTAMPTZ,
    Type::INT4,
];

pub(super) async fn mint(target: &PostgresTarget, request: &MintRequest) -> Result<Minted, ProviderError> {
    let _under_way = target.secrets.under_way();
    let Secret { password, verifier } = target.secrets.take().await?;
    let budget = Budget { time: PATIENCE, deadline: request.act.deadline.clone() };
    let (named, valid_until) = retrying(budget, || attempt(target, request, &verifier)).await?;
    let role = request.act.session.role_name();
    if named != role.as_str() {
        let text = format!("the helper made role {named} instead of {role}; the helpers are not ours");
        return Err(ProviderError::new(Failure::HelpersMissing, text));
    }
    let dsn = dsn(target, request.act.session, password)?;
    Ok(Minted { role, valid_until, dsn })
}

/// One try. A refusal because of the lease is looked into once: the target's clock may have jumped ahead.
async fn attempt(
    target: &PostgresTarget,
    request: &MintRequest,
    verifier: &str,
) -> Result<(String, Timestamp), ProviderError> {
    match call(target, request, verifier).await {
        Err(error) if error.failure() == Failure::PastLease && !request.act.deadline.over() => {
            target.clock.forget();
            call(target, request, verifier).await
        }
        other => other,
    }
}

async fn call(
    target: &PostgresTarget,
    request: &MintRequest,
    verifier: &str,
) -> Result<(String, Timestamp), ProviderError> {
    let act = &request.act;
    let now = match target.clock.fresh(Instant::now()) {
        Some(now) => now,
        None => target.read_clock(&target.pools.work).await?,
    };
    let not_after = not_after(now, &act.deadline)?;
    let client = target.pools.work.get().await?;
    let params: [&(dyn ToSql + Sync); 10] = [
        &act.session.to_string(),
        &act.generation,
        &request.pack.as_str(),
        &request.pack_version,
        &request.pack_digest,
        &request.subject,
        &verifier,
        &request.ttl.as_secs_f64(),
        &not_after,
        &request.max_connections.map(i32::from),
    ];
    let rows = run_as(&client, &act.correlation, (SQL, &TYPES), &params).await?;
    let row = one(rows)?;
    let outcome: String = row.try_get("outcome")?;
    tracing::debug!(session = %act.session, generation = act.generation, outcome, "minted");
    Ok((row.try_get("role_name")?, row.try_get("valid_until")?))
}

fn dsn(target: &PostgresTarget, session: SessionId, password: Password) -> Result<SecretDsn, ProviderError> {
    let config = &target.config;
    let parts = DsnParts {
        host: config.advertise_host.clone(),
        port: config.advertise_port,
        database: config.database.clone(),
        user: session.role_name().to_string(),
        password,
        application_name: Some(format!("gk:{session}")),
        sslmode: config.advertise_sslmode,
    };
    PgDsn::new(parts).map(|dsn| dsn.to_uri()).map_err(|error| ProviderError::new(Failure::Refused, error.to_string()))
}
