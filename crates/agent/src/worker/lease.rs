//! Holding a job: work and renewals side by side until one of them ends it.

use std::time::{Duration, Instant};

use gk_shared::ids::JobId;
use gk_shared::wire::job::RenewJob;

use crate::api::PlaneClient;
use crate::provider::Deadline;

/// A lease is renewed this often while its job is being worked on, and more often close to its end.
const EVERY: Duration = Duration::from_millis(1500);

/// What this agent holds of a job.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) job: JobId,
    pub(super) token: String,
    pub(super) generation: i64,
    pub(super) correlation: String,
    /// How long past its lease it is worked on.
    pub(super) past: Duration,
}

/// The job is somebody else's, or nobody's, by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

/// Works while the lease is renewed beside it. When the lease is lost the work is dropped where it stands: whatever it
/// had sent carries a generation that the target checks.
pub(super) async fn while_held<T>(
    api: &PlaneClient,
    held: &Held,
    deadline: &Deadline,
    work: impl Future<Output = T>,
) -> Result<T, Lost> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        lost = keep(api, held, deadline) => Err(lost),
    }
}

/// Renews until the lease is lost.
async fn keep(api: &PlaneClient, held: &Held, deadline: &Deadline) -> Lost {
    let renewal = RenewJob { lease_token: held.token.clone(), generation: held.generation };
    loop {
        tokio::time::sleep(EVERY.min(deadline.left() / 2)).await;
        let asked = Instant::now();
        // An answer that does not come must not keep the job beyond its lease.
        match tokio::time::timeout(deadline.left(), api.renew(held.job, &renewal, &held.correlation)).await {
            Ok(Ok(renewed)) => {
                let from_asking = Duration::from_millis(renewed.lease_ms) + held.past;
                deadline.renew(from_asking.saturating_sub(asked.elapsed()));
            }
            Ok(Err(error)) if error.is_stale() => {
                tracing::info!(job = %held.job, "the lease is lost; the job is dropped");
                return Lost;
            }
            Ok(Err(error)) => tracing::debug!(job = %held.job, %error, "the lease could not be renewed yet"),
            Err(_) => tracing::debug!(job = %held.job, "nobody answered while the lease held"),
        }
        if deadline.over() {
            tracing::info!(job = %held.job, "the lease is over; the job is dropped");
            return Lost;
        }
        // Close to the end the half of what is left is next to nothing: no busy loop.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
