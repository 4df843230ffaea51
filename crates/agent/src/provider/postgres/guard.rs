//! Guard: keeps the deadman running inside the target, on a connection of its own.
//!
//! Always holds: when this process dies, the socket dies with it and nothing else: a backend inside `CALL` does not
//! notice, and goes on ending sessions on time. At most one deadman works per database; a second one returns at once.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::PostgresTarget;
use super::connect::{Purpose, open};
use crate::provider::error::ProviderError;

const CALL: &str = "CALL gk.deadman('1 second', '10 minutes')";
/// A call that came back sooner than this did no work: another deadman has the watch.
const AT_ONCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_secs(10);

pub(super) async fn guard(target: &PostgresTarget, stop: CancellationToken) {
    loop {
        let begun = Instant::now();
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = call(target) => ended,
        };
        match ended {
            Ok(()) => tracing::debug!("the deadman returned"),
            Err(error) => tracing::warn!(%error, "the deadman does not run; it is started again"),
        }
        let pause = if begun.elapsed() < AT_ONCE { LOOK_AGAIN } else { AT_ONCE };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn call(target: &PostgresTarget) -> Result<(), ProviderError> {
    let client = open(&target.config, &target.config.database, Purpose::Deadman).await?;
    client.batch_execute(CALL).await?;
    Ok(())
}
