//! Starting and stopping: what has to hold before the first request, and the order in which things end.

use std::sync::Arc;
use std::time::Duration;

use gk_edge::accept::{self, Entrance};
use gk_shared::audit::note::SigningKey;
use gk_shared::names::ActorName;
use gk_shared::problem::ErrorCode;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{LedgerConfig, PlaneConfig};
use crate::http::router;
use crate::machine::Machine;
use crate::notary::NotaryError;
use crate::plane::Plane;
use crate::sinks::Means;
use crate::store::audit::{self, Patience, Rotated};
use crate::store::tokens::{self, MadeToken};
use crate::store::{self, Ledger, Migrated, StoreError, SystemRandomness};
use crate::wakeups::Wakeups;

/// How far this machine's clock may be from the ledger's. Nothing is decided by it, but a clock that is further off
/// will mislead whoever reads the log.
const MOST_SKEW: Duration = Duration::from_secs(3600);
/// Seconds since 1970 of 2026-01-01 and 2100-01-01: this binary was started neither before nor after.
const PLAUSIBLE: std::ops::Range<i64> = 1_767_225_600..4_102_444_800;
/// Between two rounds of forgetting callers who have not called lately.
const FORGET: Duration = Duration::from_secs(60);

/// Why the control plane does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key or the file of the audit log.
    #[error("the audit log cannot be signed")]
    Notary(#[from] NotaryError),
    /// The clock of this machine.
    #[error("this machine's clock says {machine}, the ledger's {ledger}")]
    Clock {
        /// Time by this machine.
        machine: Timestamp,
        /// Time by the ledger.
        ledger: Timestamp,
    },
}

impl PlaneError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Notary(error) => error.code(),
            Self::Clock { .. } => ErrorCode::ClockImplausible,
        }
    }
}

fn ledger(config: &LedgerConfig) -> Result<(Ledger, tokio::sync::mpsc::Receiver<crate::wakeups::Wake>), StoreError> {
    let (wakeups, outbox) = Wakeups::new();
    Ok((Ledger::new(config, Arc::new(SystemRandomness), wakeups)?, outbox))
}

/// Brings the ledger's schema up to date. The login must own the schema.
///
/// # Errors
/// The ledger does not answer, or a migration fails.
pub async fn migrate(ledger: &LedgerConfig) -> Result<Migrated, PlaneError> {
    Ok(store::migrate(ledger).await?)
}

/// Makes a token with all scopes for people, straight in the ledger: the first one of an installation.
///
/// # Errors
/// The ledger does not answer, or has another schema.
pub async fn admin_token(config: &LedgerConfig, name: ActorName, life: Duration) -> Result<MadeToken, PlaneError> {
    let (ledger, _outbox) = ledger(config)?;
    store::check_schema(&ledger).await?;
    Ok(tokens::admin(&ledger, name, life).await?)
}

/// Lets the key `new` sign the audit log from now on, introduced by `old`.
///
/// # Errors
/// The ledger does not answer or has another schema, or `old` is not the key of now.
pub async fn rotate_audit_key(
    config: &LedgerConfig,
    old: &SigningKey,
    new: &SigningKey,
) -> Result<Rotated, PlaneError> {
    let (ledger, _outbox) = ledger(config)?;
    store::check_schema(&ledger).await?;
    // What is written so far belongs to the old key.
    audit::seal(&ledger, Patience::Wait).await?;
    Ok(audit::rotate(&ledger, old, new).await.map_err(NotaryError::from)?)
}

/// The keys that have signed the audit log, the newest last, as others pin them.
///
/// # Errors
/// The ledger does not answer or has another schema, or its keys do not hold together.
pub async fn audit_keys(config: &LedgerConfig) -> Result<Vec<String>, PlaneError> {
    let (ledger, _outbox) = ledger(config)?;
    store::check_schema(&ledger).await?;
    let keys = audit::keys(&ledger).await.map_err(NotaryError::from)?;
    Ok(keys.epochs().iter().map(|epoch| epoch.key.to_string()).collect())
}

/// Runs the control plane on `listener` until `stop`.
///
/// # Errors
/// The ledger does not answer or has another schema, or this machine's clock is implausible.
pub async fn serve(config: PlaneConfig, listener: TcpListener, stop: CancellationToken) -> Result<(), PlaneError> {
    let (ledger, outbox) = ledger(&config.ledger)?;
    store::check_schema(&ledger).await?;
    check_clock(Machine::system().now(), ledger.now().await?)?;
    for finding in config.findings() {
        tracing::warn!("{finding}");
    }
    let plane = Plane::new(&config, ledger.clone(), stop.clone());
    plane.notary.begin(&ledger).await?;
    // The clocks outlive the last request, so that what it did is linked into the log before the end.
    let served = CancellationToken::new();
    let clocks = crate::clock::start(&ledger, &config.ledger, &plane.notary, outbox, &served);
    let means = Means { ledger, metrics: plane.metrics.clone(), machine: plane.machine };
    let sinks = crate::sinks::start(&config.audit.sinks, &means);
    let forgetting = tokio::spawn(forget(plane.clone()));
    tracing::info!(version = crate::VERSION, rules = config.policy.len(), "control plane serves");
    if let Some(tls) = &config.tls {
        tokio::spawn(Arc::clone(tls).watch(crate::machine::system_now, stop.clone()));
    }
    accept::serve(Entrance { listener, tls: config.tls }, router::router(&plane), config.limits.bounds(), stop).await;
    served.cancel();
    forgetting.abort();
    clocks.join().await;
    // After the sealer: its last events and checkpoint are delivered, too.
    sinks.finish().await;
    tracing::info!("control plane stopped");
    Ok(())
}

async fn forget(plane: Plane) {
    while plane.until_stop(tokio::time::sleep(FORGET)).await.is_some() {
        plane.rates.forget();
        plane.familiar.forget_idle();
    }
}

fn check_clock(machine: Timestamp, ledger: Timestamp) -> Result<(), PlaneError> {
    let apart = machine.duration_since(ledger).unsigned_abs();
    if PLAUSIBLE.contains(&machine.as_second()) && apart <= MOST_SKEW {
        return Ok(());
    }
    Err(PlaneError::Clock { machine, ledger })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_at_1970_at_2100_or_far_from_the_ledgers_is_refused() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let now = 1_795_000_000;
        assert!(check_clock(at(now), at(now + 3000)).is_ok());
        for (machine, ledger) in [(0, 0), (4_102_444_801, 4_102_444_801), (now, now + 4000), (now + 4000, now)] {
            let refused = check_clock(at(machine), at(ledger)).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::ClockImplausible);
        }
    }
}
