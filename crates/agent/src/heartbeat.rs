//! Heartbeat: tells the control plane every ten seconds that the agent lives and how its targets are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gk_shared::names::TargetName;
use gk_shared::wire::agent::{Heartbeat, HeartbeatAnswer, TargetHealth};
use tokio_util::sync::CancellationToken;

use crate::api::PlaneClient;
use crate::metrics::Metrics;
use crate::provider::{Failure, ProviderError};
use crate::target::Target;
use crate::witness::Witness;

const EVERY: Duration = Duration::from_secs(10);
/// After one that did not go through.
const AGAIN: Duration = Duration::from_secs(2);
/// A target that does not answer must not hold up the others' heartbeat.
const LOOK_TIMEOUT: Duration = Duration::from_secs(6);
/// Without an answer for this long the agent does not call itself ready.
const STALE: Duration = Duration::from_secs(45);

/// What the agent's own health says of it.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answered: Option<Instant>,
    targets: BTreeMap<TargetName, Option<String>>,
}

impl Vitals {
    /// Whether the control plane answered lately.
    #[must_use]
    pub(crate) fn plane_answers(&self, now: Instant) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.answered.is_some_and(|at| now.saturating_duration_since(at) < STALE)
    }

    /// The targets with what is wrong with each.
    #[must_use]
    pub(crate) fn targets(&self) -> BTreeMap<TargetName, Option<String>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).targets.clone()
    }

    fn looked(&self, health: &[TargetHealth]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.targets = health.iter().map(|target| (target.target.clone(), target.error.clone())).collect();
    }

    fn answered(&self, now: Instant) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).answered = Some(now);
    }
}

/// What a beat needs.
pub(crate) struct Heart {
    pub(crate) api: Arc<PlaneClient>,
    pub(crate) targets: Arc<BTreeMap<TargetName, Arc<Target>>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) witness: Witness,
}

impl Heart {
    /// Beats until `stop` is cancelled.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let pause = tokio::select! {
                () = stop.cancelled() => return,
                pause = self.beat() => pause,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One beat, and the pause after it.
    async fn beat(&mut self) -> Duration {
        let health = join_all(self.targets.values().map(|target| look(target))).await;
        for target in &health {
            self.metrics.reachable(&target.target, target.reachable);
            self.metrics.endpoints(&target.target, &target.endpoints);
        }
        self.vitals.looked(&health);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let witnessed = self.witness.held();
        match self.api.heartbeat(&Heartbeat { version, targets: health, witnessed }).await {
            Ok(answer) => {
                self.vitals.answered(Instant::now());
                warn_of_refused(&answer);
                self.witness.look(&self.api, &self.metrics, Instant::now()).await;
                EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "the heartbeat did not go through");
                AGAIN
            }
        }
    }
}

fn warn_of_refused(answer: &HeartbeatAnswer) {
    for target in &answer.refused_targets {
        tracing::warn!(target_name = %target, "the control plane does not let this agent serve the target");
    }
}

/// How one target is.
async fn look(target: &Target) -> TargetHealth {
    let looked = tokio::time::timeout(LOOK_TIMEOUT, target.provider.health()).await;
    let looked = looked.unwrap_or_else(|_| Err(ProviderError::new(Failure::Unreachable, "no answer within 6 s")));
    let address = &target.address;
    let mut health = TargetHealth {
        target: target.name.clone(),
        host: address.host.clone(),
        port: address.port,
        database: address.database.clone(),
        reachable: false,
        error: None,
        server_version: None,
        helpers_version: None,
        packs: Vec::new(),
        target_time: None,
        endpoints: target.provider.servers(),
    };
    match looked {
        Ok(seen) => {
            health.reachable = true;
            health.server_version = Some(seen.server_version);
            health.helpers_version = Some(seen.helpers_version);
            health.packs = seen.packs;
            health.target_time = Some(seen.at);
        }
        Err(error) => health.error = Some(error.to_string()),
    }
    health
}
