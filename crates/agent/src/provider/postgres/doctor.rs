//! What the helpers themselves say of the target: `gk.doctor()`.

use std::time::Instant;

use gk_shared::wire::agent::EndpointHealth;

use super::{PostgresTarget, query};
use crate::doctor::{Check, Verdict};
use crate::provider::error::ProviderError;

const SQL: &str = "-- provider::doctor\nSELECT check_name, ok, detail, mend FROM gk.doctor()";

impl PostgresTarget {
    /// How its servers are at this moment; none are named where there is only one.
    pub(crate) async fn servers_now(&self) -> Vec<EndpointHealth> {
        self.pools.servers.survey_now().await;
        self.pools.servers.health(Instant::now())
    }

    /// Every check of the helpers; the subject is for the caller to fill in.
    pub(crate) async fn doctor(&self) -> Result<Vec<Check>, ProviderError> {
        let client = self.pools.urgent.get().await?;
        let mut checks = Vec::new();
        for row in query(&client, SQL, &[]).await? {
            checks.push(Check {
                subject: String::new(),
                name: row.try_get("check_name")?,
                verdict: if row.try_get("ok")? { Verdict::Well } else { Verdict::Fix },
                detail: row.try_get("detail")?,
                mend: row.try_get("mend")?,
            });
        }
        Ok(checks)
    }
}
