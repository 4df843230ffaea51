//! Whether the target would take verifiers as this agent makes them: asked before somebody waits for a session.
//!
//! Always holds: the question is a read that succeeds, so a start leaves nothing in the target's log.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{PostgresTarget, limits, one, query};
use crate::provider::error::ProviderError;

/// A target that does not answer is asked again after this long.
const AGAIN: Duration = Duration::from_secs(10);

/// `gk_agent` may not read the setting itself.
const SQL: &str = "-- provider::probe\nSELECT gk.min_iterations()";

impl PostgresTarget {
    /// What keeps verifiers with our number of rounds from being taken; `None` if nothing does.
    pub(crate) async fn refused_iterations(&self) -> Result<Option<String>, ProviderError> {
        let client = self.pools.urgent.get().await?;
        let least: i32 = one(query(&client, SQL, &[]).await?)?.try_get(0)?;
        let least = least.unsigned_abs();
        Ok((self.config.scram_iterations < least).then(|| limits::too_few_rounds(least)))
    }

    /// Says once, at the start, if no session can be made; other faults of the target are told by the heartbeat.
    pub(crate) async fn warn_of_refused_iterations(&self, stop: CancellationToken) {
        loop {
            match self.refused_iterations().await {
                Ok(None) => return,
                Ok(Some(why)) => return tracing::error!(target_name = %self.config.name, why, "no session can be made"),
                Err(error) if !error.failure().passes() => return,
                Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}
