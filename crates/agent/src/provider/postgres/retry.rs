//! Trying again what passes by itself, with growing, jittered pauses, inside a budget and inside the lease.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::provider::Deadline;
use crate::provider::error::ProviderError;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Until when it is tried again.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// Since the first try.
    pub(super) time: Duration,
    /// The lease's end.
    pub(super) deadline: Deadline,
}

/// Calls `act` until it works, fails for good, or the budget is spent.
pub(super) async fn retrying<T, F>(budget: Budget, mut act: impl FnMut() -> F) -> Result<T, ProviderError>
where
    F: Future<Output = Result<T, ProviderError>>,
{
    let begun = Instant::now();
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build();
    loop {
        let error = match act().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
        let spent = begun.elapsed() + pause >= budget.time || budget.deadline.left() <= pause;
        if spent || !error.failure().passes() {
            return Err(error);
        }
        tracing::debug!(%error, pause_ms = pause.as_millis(), "the target did not do it; trying again");
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::error::Failure;

    fn budget(time: Duration) -> Budget {
        Budget { time, deadline: Deadline::after(Duration::from_secs(60)) }
    }

    #[tokio::test]
    async fn what_passes_is_tried_until_it_works() {
        let mut tries = 0;
        let done = retrying(budget(Duration::from_secs(5)), || {
            tries += 1;
            let result = if tries < 3 { Err(ProviderError::new(Failure::Busy, "locked")) } else { Ok(tries) };
            async move { result }
        });
        assert_eq!(done.await.expect("works at last"), 3);
    }

    #[tokio::test]
    async fn what_does_not_pass_is_tried_once() {
        let mut tries = 0;
        let done = retrying(budget(Duration::from_secs(5)), || {
            tries += 1;
            async { Err::<(), _>(ProviderError::new(Failure::PackRefused, "no")) }
        });
        assert_eq!(done.await.expect_err("refused").failure(), Failure::PackRefused);
        assert_eq!(tries, 1);
    }

    #[tokio::test]
    async fn a_lease_that_is_over_ends_the_tries() {
        let spent = Budget { time: Duration::from_secs(60), deadline: Deadline::after(Duration::ZERO) };
        let done = retrying(spent, || async { Err::<(), _>(ProviderError::new(Failure::Busy, "locked")) });
        assert_eq!(done.await.expect_err("given up").failure(), Failure::Busy);
    }
}
