//! Calls about everything but sessions: who am I, targets, packs, tokens, agents, audit, clean-up.

use std::time::Duration;

use gk_shared::ids::TokenId;
use gk_shared::names::{AgentName, PackName, TargetName};
use gk_shared::wire::agent::{AgentList, AgentView, DrainAgent, EnrollAgent, EnrolledAgent, RevokedAgent};
use gk_shared::wire::audit::{AuditPage, Checkpoint};
use gk_shared::wire::catalog::{PackList, PackView, TargetList, TargetView};
use gk_shared::wire::cleanup::{CleanupReport, CleanupStarted, RunCleanup};
use gk_shared::wire::recovery::{AcceptRecovery, AcceptedRecovery, Recovery};
use gk_shared::wire::status::Status;
use gk_shared::wire::token::{CreateToken, CreatedToken, Me, TokenList};

use super::{Call, CallError, Client};

/// Which audit events to read.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Those behind this place.
    pub after: i64,
    /// How many at once.
    pub limit: u32,
    /// How long the server may wait for a new one.
    pub wait: Duration,
    /// Only of this session.
    pub session: Option<String>,
    /// Only about this.
    pub object: Option<String>,
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only of this action.
    pub action: Option<String>,
    /// Only with this end.
    pub outcome: Option<String>,
    /// Only because of this request.
    pub request: Option<String>,
    /// Only at this time or after.
    pub since: Option<String>,
    /// Only before this time.
    pub until: Option<String>,
    /// Only with these words.
    pub text: Option<String>,
}

impl Client {
    /// Who the caller is.
    ///
    /// # Errors
    /// The call failed.
    pub async fn me(&self) -> Result<Me, CallError> {
        self.call(Call::get("/v1/me")).await
    }

    /// The control plane at a glance.
    ///
    /// # Errors
    /// The call failed.
    pub async fn status(&self) -> Result<Status, CallError> {
        self.call(Call::get("/v1/status")).await
    }

    /// Targets that the caller may see.
    ///
    /// # Errors
    /// The call failed.
    pub async fn targets(&self) -> Result<TargetList, CallError> {
        self.call(Call::get("/v1/targets")).await
    }

    /// One target.
    ///
    /// # Errors
    /// The call failed.
    pub async fn target(&self, name: &TargetName) -> Result<TargetView, CallError> {
        self.call(Call::get(&format!("/v1/targets/{name}"))).await
    }

    /// All role packs.
    ///
    /// # Errors
    /// The call failed.
    pub async fn packs(&self) -> Result<PackList, CallError> {
        self.call(Call::get("/v1/packs")).await
    }

    /// One role pack.
    ///
    /// # Errors
    /// The call failed.
    pub async fn pack(&self, name: &PackName) -> Result<PackView, CallError> {
        self.call(Call::get(&format!("/v1/packs/{name}"))).await
    }

    /// Makes a token.
    ///
    /// # Errors
    /// The call failed.
    pub async fn create_token(&self, asked: &CreateToken) -> Result<CreatedToken, CallError> {
        self.call(Call::post("/v1/tokens", asked)).await
    }

    /// All tokens, without their text.
    ///
    /// # Errors
    /// The call failed.
    pub async fn tokens(&self) -> Result<TokenList, CallError> {
        self.call(Call::get("/v1/tokens")).await
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// The call failed.
    pub async fn revoke_token(&self, id: TokenId) -> Result<serde_json::Value, CallError> {
        self.call(Call::post(&format!("/v1/tokens/{id}/revoke"), &serde_json::json!({}))).await
    }

    /// All agents.
    ///
    /// # Errors
    /// The call failed.
    pub async fn agents(&self) -> Result<AgentList, CallError> {
        self.call(Call::get("/v1/agents")).await
    }

    /// Enrols an agent.
    ///
    /// # Errors
    /// The call failed.
    pub async fn enroll_agent(&self, asked: &EnrollAgent) -> Result<EnrolledAgent, CallError> {
        self.call(Call::post("/v1/agents", asked)).await
    }

    /// Revokes all that an agent has to show.
    ///
    /// # Errors
    /// The call failed.
    pub async fn revoke_agent(&self, name: &AgentName) -> Result<RevokedAgent, CallError> {
        self.call(Call::post(&format!("/v1/agents/{name}/revoke"), &serde_json::json!({}))).await
    }

    /// Gives an agent no new sessions, or again.
    ///
    /// # Errors
    /// The call failed.
    pub async fn drain_agent(&self, name: &AgentName, asked: &DrainAgent) -> Result<AgentView, CallError> {
        self.call(Call::post(&format!("/v1/agents/{name}/drain"), asked)).await
    }

    /// A page of the audit log.
    ///
    /// # Errors
    /// The call failed.
    pub async fn audit_events(&self, asked: &AuditQuery) -> Result<AuditPage, CallError> {
        let call = Call::get("/v1/audit/events")
            .query("after", asked.after)
            .query("limit", asked.limit)
            .query_if("session", asked.session.as_ref())
            .query_if("actor", asked.actor.as_ref())
            .query_if("action", asked.action.as_ref())
            .query_if("object", asked.object.as_ref())
            .query_if("outcome", asked.outcome.as_ref())
            .query_if("request", asked.request.as_ref())
            .query_if("since", asked.since.as_ref())
            .query_if("until", asked.until.as_ref())
            .query_if("text", asked.text.as_ref())
            .waiting(asked.wait);
        self.call(call).await
    }

    /// Where the audit log stands.
    ///
    /// # Errors
    /// The call failed.
    pub async fn checkpoint(&self) -> Result<Checkpoint, CallError> {
        self.call(Call::get("/v1/audit/checkpoints")).await
    }

    /// Where the audit log stands, with everything that was committed by now.
    ///
    /// # Errors
    /// The call failed.
    pub async fn fresh_checkpoint(&self) -> Result<Checkpoint, CallError> {
        self.call(Call::get("/v1/audit/checkpoints").query("fresh", true)).await
    }

    /// What is left that should be gone.
    ///
    /// # Errors
    /// The call failed.
    pub async fn cleanup(&self, target: Option<&TargetName>, lag: Duration) -> Result<CleanupReport, CallError> {
        let call = Call::get("/v1/cleanup").query_if("target", target);
        self.call(call.query("maxLag", format!("{}s", lag.as_secs()))).await
    }

    /// Tries again to remove it.
    ///
    /// # Errors
    /// The call failed.
    pub async fn run_cleanup(&self, asked: &RunCleanup) -> Result<CleanupStarted, CallError> {
        self.call(Call::post("/v1/cleanup/run", asked)).await
    }

    /// What is ahead of the ledger.
    ///
    /// # Errors
    /// The call failed.
    pub async fn recovery(&self) -> Result<Recovery, CallError> {
        self.call(Call::get("/v1/recovery")).await
    }

    /// Takes the ledger as it is.
    ///
    /// # Errors
    /// The call failed.
    pub async fn accept_recovery(&self, asked: &AcceptRecovery) -> Result<AcceptedRecovery, CallError> {
        self.call(Call::post("/v1/recovery/accept", asked)).await
    }
}
