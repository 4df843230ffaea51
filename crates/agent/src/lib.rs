//! The agent: sits beside target databases, dials out only, makes sessions there and ends them.
//!
//! [`run`] is all of it. Around it: [`config`] says what it needs to know, [`api`] is the control plane as it sees it,
//! [`worker`] does jobs, [`reconcile`] ends what is over with or without jobs, [`provider`] is what a database has to
//! be able to do, and [`bootstrap`] is the SQL that makes a database a target.
#![forbid(unsafe_code)]

pub mod api;
pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod doctor;
mod heartbeat;
mod http;
mod metrics;
pub mod provider;
pub mod reconcile;
pub mod renewal;
pub mod target;
mod witness;
pub mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use gk_shared::names::TargetName;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{ApiError, PlaneClient};
use crate::config::AgentConfig;
use crate::heartbeat::{Heart, Vitals};
pub use crate::metrics::Metrics;
use crate::provider::postgres::PostgresTarget;
use crate::reconcile::Reconciler;
use crate::target::{Address, Target};
use crate::witness::Witness;
use crate::worker::Worker;

/// Why an agent could not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its own port is taken, or is not to be had.
    #[error("cannot listen on {address}: {source}; set `listen` or AGENT_PORT to another port")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[source] ApiError),
    /// Nothing to serve.
    #[error("no target is configured: add a [[target]], or set PGHOST and its like")]
    NoTarget,
}

/// Serves the targets until `stop` is cancelled; then finishes what is running, for at most ten seconds.
///
/// # Errors
/// Only at the start. Later the agent outlives whatever its targets and the control plane do.
pub async fn run(config: AgentConfig, stop: CancellationToken) -> Result<(), AgentError> {
    if config.targets.is_empty() {
        return Err(AgentError::NoTarget);
    }
    let api = Arc::new(PlaneClient::new(&config).map_err(AgentError::Client)?);
    let (metrics, vitals) = (Arc::new(Metrics::default()), Arc::new(Vitals::default()));
    let tasks = TaskTracker::new();
    if let Some(address) = config.listen {
        let listener = TcpListener::bind(address).await.map_err(|source| AgentError::Listen { address, source })?;
        gk_edge::harden::raise_file_limit();
        tasks.spawn(http::serve(listener, Arc::clone(&vitals), Arc::clone(&metrics), stop.clone()));
    }
    let providers: Vec<_> = config.targets.into_iter().map(|target| Arc::new(PostgresTarget::new(target))).collect();
    for provider in &providers {
        let (of_probe, of_stock) = (Arc::clone(provider), Arc::clone(provider));
        let (stop, until) = (stop.clone(), stop.clone());
        tasks.spawn(async move { of_probe.warn_of_refused_iterations(stop).await });
        tasks.spawn(async move { of_stock.keep_stock(until).await });
    }
    let targets: Arc<BTreeMap<TargetName, Arc<Target>>> = Arc::new(providers.into_iter().map(named).collect());
    tracing::info!(control_plane = %config.control_plane, targets = ?targets.keys().collect::<Vec<_>>(), "agent runs");
    let heart = Heart {
        api: Arc::clone(&api),
        targets: Arc::clone(&targets),
        metrics: Arc::clone(&metrics),
        vitals,
        witness: Witness::open(config.state_dir.as_deref()),
    };
    tasks.spawn(heart.run(stop.clone()));
    tasks.spawn(renewal::run(Arc::clone(&api), clock, stop.clone()));
    for target in targets.values() {
        let reconciler =
            Reconciler { api: Arc::clone(&api), target: Arc::clone(target), metrics: Arc::clone(&metrics) };
        tasks.spawn(reconciler.run(stop.clone()));
    }
    let worker = Worker { api, targets, metrics, slots: config.slots, poll_interval: config.poll_interval };
    worker.run(stop).await;
    tasks.close();
    tasks.wait().await;
    tracing::info!("agent stopped");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "certificates hold by the clocks of machines")]
fn clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn named(provider: Arc<PostgresTarget>) -> (TargetName, Arc<Target>) {
    let config = provider.config();
    let name = config.name.clone();
    let address =
        Address { host: config.advertise_host.clone(), port: config.advertise_port, database: config.database.clone() };
    (name.clone(), Arc::new(Target::new(name, address, provider)))
}
