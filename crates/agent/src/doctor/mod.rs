//! The doctor: looks at each target and at the control plane as the agent would use them.
//!
//! Always holds: it changes nothing, neither on a target nor in the ledger, so it may run beside an agent or without one.

mod judge;

use jiff::Timestamp;
use serde::Serialize;

use crate::api::{ApiError, PlaneClient};
use crate::config::{AgentConfig, Credential, TargetConfig};
use crate::provider::postgres::PostgresTarget;

/// What is to be done about what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing.
    Well,
    /// Something would be better otherwise; sessions are made and ended all the same.
    Advice,
    /// Sessions cannot be made, or a promise does not hold, before this is mended.
    Fix,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which target, or `control plane`.
    pub subject: String,
    /// What was looked at.
    #[serde(rename = "check")]
    pub name: String,
    /// What to do about it.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// How it is done: SQL where SQL does it. Empty if it is well.
    pub mend: String,
}

impl Check {
    fn well(subject: &str, name: &str, detail: impl Into<String>) -> Self {
        let (subject, name, detail) = (subject.to_owned(), name.to_owned(), detail.into());
        Self { subject, name, verdict: Verdict::Well, detail, mend: String::new() }
    }

    fn finding(subject: &str, name: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        let (detail, mend) = (detail.into(), mend.into());
        Self { subject: subject.to_owned(), name: name.to_owned(), verdict: Verdict::Fix, detail, mend }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.verdict == Verdict::Well
    }
}

/// Looks at everything.
///
/// # Errors
/// When the HTTP client cannot be set up.
pub async fn examine(config: &AgentConfig) -> Result<Vec<Check>, ApiError> {
    let mut checks = Vec::new();
    for target in &config.targets {
        examine_target(target, &mut checks).await;
    }
    if let Credential::Certificate(file) = &config.credential {
        checks.push(judge::identity(file, file.read(), now()));
    }
    let sight = match PlaneClient::new(config) {
        Ok(api) => api.look().await,
        Err(error @ ApiError::Identity(_)) => Err(error),
        Err(error) => return Err(error),
    };
    judge::plane(config, sight, &mut checks);
    Ok(checks)
}

async fn examine_target(config: &TargetConfig, checks: &mut Vec<Check>) {
    let name = config.name.as_str();
    let target = PostgresTarget::to_look_at(config.clone());
    judge::servers(name, &target.servers_now().await, checks);
    let seen = match target.look().await {
        Ok(seen) => seen,
        Err(error) => return checks.push(judge::unreachable(config, &error)),
    };
    let at = format!("{}:{}/{}, PostgreSQL {}", config.host, config.port, config.database, seen.server_version);
    checks.push(Check::well(name, "reachable", at));
    checks.push(judge::helpers(name, &seen.helpers_version));
    judge::packs(name, &seen.packs, checks);
    checks.push(judge::skew(name, seen.at, now()));
    checks.push(judge::iterations(config, target.refused_iterations().await));
    match target.doctor().await {
        Ok(rows) => checks.extend(rows.into_iter().map(|row| judge::helpers_say(config, row))),
        Err(error) => checks.push(Check::finding(name, "doctor", error.to_string(), judge::BOOTSTRAP)),
    }
}

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the doctor compares this machine's clock with the others")]
    Timestamp::now()
}
