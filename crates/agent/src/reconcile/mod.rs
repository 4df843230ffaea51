//! Reconcile: what is on a target held against what should be, every few seconds, whatever became of the jobs.
//!
//! Always holds: what is over by the target's own clock is ended without asking anybody, also while the control plane
//! is away; what is unknown is left alone until its own end; nothing is ever made here.

mod act;
mod expiry;
mod report;
mod timers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gk_shared::ids::SessionId;
use gk_shared::wire::agent::ObservedRole;
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

pub use timers::Timers;

use crate::api::PlaneClient;
use crate::metrics::Metrics;
use crate::provider::{Observed, ProviderError};
use crate::target::{Look, Target};

/// How often a target is looked at.
const EVERY: Duration = Duration::from_secs(5);
/// A look that began longer ago is not told: what was made or ended since would be taken for missing or still there.
const MAX_AGE: Duration = Duration::from_secs(5);
/// A clock that moves further than this against ours has jumped.
const JUMP: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// What keeps one target as it should be.
#[derive(Clone)]
pub struct Reconciler {
    /// The control plane.
    pub api: Arc<PlaneClient>,
    /// The target.
    pub target: Arc<Target>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Reconciler {
    /// Looks, reports and acts until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let own = futures_util::future::join3(
            self.look_again_and_again(stop.clone()),
            expiry::run(Arc::clone(&self.target), Arc::clone(&self.metrics), stop.clone()),
            self.target.provider.guard(stop),
        );
        own.await;
    }

    async fn look_again_and_again(&self, stop: CancellationToken) {
        loop {
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = self.look() => looked,
            };
            if let Err(error) = looked {
                tracing::warn!(target_name = %self.target.name, %error, "the target cannot be looked at");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(jittered(EVERY)) => {}
                () = self.target.look_now.notified() => {}
            }
        }
    }

    /// One round: look, tell, act.
    async fn look(&self) -> Result<(), ProviderError> {
        let began = Instant::now();
        let observed = self.target.provider.observe().await;
        self.target.heard(&observed);
        let observed = observed?;
        self.target.saw(seen(&observed.roles), began);
        self.metrics.observed(&self.target.name, &observed);
        if observed.clock_jump.abs() > JUMP {
            tracing::warn!(
                target_name = %self.target.name, jump_ms = observed.clock_jump.as_millis(),
                "the target's clock jumped; sessions end on time all the same"
            );
        }
        self.tell(&observed, began).await;
        Ok(())
    }

    /// What ended by itself and is over with that. On a target with standbys nothing is, before an end has looked there:
    /// the control plane asks for one when the session's time is up.
    fn dropped(&self, observed: &Observed) -> Vec<SessionId> {
        let dropped = self.target.unreported();
        if observed.alone {
            return dropped;
        }
        self.target.told(&dropped);
        Vec::new()
    }

    /// Tells the control plane what a look saw that began then, and does what it answers. Its silence stops nothing.
    async fn tell(&self, observed: &Observed, began: Instant) {
        let dropped = self.dropped(observed);
        for page in report::pages(&self.target.name, observed, &dropped) {
            if is_stale(began, Instant::now()) {
                tracing::warn!(target_name = %self.target.name, "the look took too long to be told; looking again");
                self.target.look_now.notify_one();
                return;
            }
            match self.api.observe(&page).await {
                Ok(intents) => {
                    self.target.told(&page.dropped);
                    act::act(&self.target, &page.roles, &intents);
                }
                Err(error) => {
                    tracing::debug!(target_name = %self.target.name, %error, "the look could not be reported");
                    return;
                }
            }
        }
    }
}

/// Whether a look that began then is too old to be told now.
fn is_stale(began: Instant, now: Instant) -> bool {
    now.saturating_duration_since(began) > MAX_AGE
}

/// What a look means for the timers and for what may have ended by itself. Only what it does not name at all is gone.
fn seen(roles: &[ObservedRole]) -> Look {
    let ends = roles.iter().filter(|role| role.armed).filter_map(|role| Some((role.session_id, role.valid_until?)));
    Look { there: roles.iter().map(|role| role.session_id).collect(), ends: ends.collect() }
}

/// Within a tenth of `pause`, so that many agents do not all look at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.9..1.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::ids::SessionId;
    use gk_shared::wire::agent::RoleState;

    #[test]
    fn a_look_is_told_until_five_seconds_after_it_began() {
        let began = Instant::now();
        assert!(!is_stale(began, began + Duration::from_secs(5)));
        assert!(is_stale(began, began + Duration::from_millis(5001)));
    }

    #[test]
    fn a_session_that_a_look_names_is_not_gone_whatever_its_state() {
        let all = [
            RoleState::Minted,
            RoleState::Disarmed,
            RoleState::Stuck,
            RoleState::Dropped,
            RoleState::Orphan,
            RoleState::Replaced,
        ];
        for state in all {
            let session_id = SessionId::from_parts(1_700_000_000_000, [1; 10]);
            let role = ObservedRole {
                session_id,
                generation: 1,
                state,
                armed: false,
                backends: 1,
                valid_until: None,
                detail: None,
            };
            assert!(seen(&[role]).there.contains(&session_id), "{state:?}");
        }
    }
}
