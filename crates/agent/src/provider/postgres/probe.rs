//! Whether the target would take verifiers as this agent makes them: asked before somebody waits for a session.

use std::time::Duration;

use gk_shared::ids::SessionId;
use tokio_postgres::types::Type;
use tokio_util::sync::CancellationToken;

use super::{PostgresTarget, query};
use crate::provider::error::{Failure, ProviderError};

/// A target that does not answer is asked again after this long.
const AGAIN: Duration = Duration::from_secs(10);

/// A mint whose lease ended before time began: the helper looks at the verifier, then at the lease, and refuses either
/// way before it touches anything. `gk_agent` may not read the setting itself.
const SQL: &str = "-- provider::probe (a refusal is the answer)\n\
    SELECT role_name FROM gk.mint($1, 1, '', '', '', '', $2, NULL, '-infinity', NULL)";

impl PostgresTarget {
    /// What keeps verifiers with our number of rounds from being taken; `None` if nothing does.
    pub(crate) async fn refused_iterations(&self) -> Result<Option<String>, ProviderError> {
        let session = SessionId::from_parts(0, [0; 10]).to_string();
        let verifier = nobodys_verifier(self.config.scram_iterations);
        let client = self.pools.urgent.get().await?;
        let Err(error) = query(&client, SQL, &[(&session, Type::TEXT), (&verifier, Type::TEXT)]).await else {
            return Err(ProviderError::new(Failure::HelpersMissing, "gk.mint took a lease that is over"));
        };
        match error.failure() {
            Failure::PastLease => Ok(None),
            Failure::Refused => Ok(Some(error.to_string())),
            Failure::Unreachable
            | Failure::Busy
            | Failure::Fenced
            | Failure::PackRefused
            | Failure::ForeignRole
            | Failure::RoleReplaced
            | Failure::HelpersMissing
            | Failure::OverLimit(_) => Err(error),
        }
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

/// Of the right form, and of no password.
fn nobodys_verifier(iterations: u32) -> String {
    let key = "A".repeat(43);
    format!("SCRAM-SHA-256${iterations}:{}==${key}=:{key}=", "A".repeat(22))
}
