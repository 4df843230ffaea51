//! A look at the control plane that changes nothing there: for the doctor, which may run beside an agent, or without one,
//! and for the witness of its audit log.

use gk_shared::names::{AgentName, TargetName};
use gk_shared::wire::audit::Checkpoint;
use jiff::Timestamp;
use serde::Deserialize;

use super::{ApiError, CALL_TIMEOUT, PlaneClient};

/// The control plane, as an agent finds it that only looks, and what it takes this agent for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sight {
    /// Whom our token names.
    pub name: AgentName,
    /// What that agent may serve.
    pub targets: Vec<TargetName>,
    /// The control plane's version.
    pub version: String,
    /// The ledger's clock.
    pub ledger_time: Timestamp,
}

impl PlaneClient {
    /// Looks whether the control plane serves, what time it is there, and whom it takes us for.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn look(&self) -> Result<Sight, ApiError> {
        self.call(|http| http.get(self.base.at("/v1/agent/me")).timeout(CALL_TIMEOUT)).await
    }

    /// The newest checkpoint of the audit log, with proof that it continues the one of size `from`.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn checkpoint(&self, from: i64) -> Result<Checkpoint, ApiError> {
        let url = self.base.at("/v1/agent/checkpoint");
        self.call(|http| http.get(url.clone()).query(&[("from", from)]).timeout(CALL_TIMEOUT)).await
    }
}
