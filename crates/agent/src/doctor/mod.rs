//! The doctor: looks at each target and at the control plane as the agent would use them.

mod judge;

use gk_shared::wire::agent::{Heartbeat, HeartbeatAnswer, TargetHealth};
use jiff::Timestamp;
use serde::Serialize;

use crate::api::{ApiError, PlaneClient};
use crate::config::{AgentConfig, TargetConfig};
use crate::provider::DatabaseProvider as _;
use crate::provider::postgres::PostgresTarget;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which target, or `control plane`.
    pub subject: String,
    /// What was looked at.
    #[serde(rename = "check")]
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
    /// What to do about it: SQL where SQL does it. Empty if it is well.
    pub mend: String,
}

impl Check {
    fn well(subject: &str, name: &str, detail: impl Into<String>) -> Self {
        Self {
            subject: subject.to_owned(),
            name: name.to_owned(),
            ok: true,
            detail: detail.into(),
            mend: String::new(),
        }
    }

    fn finding(subject: &str, name: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        let (detail, mend) = (detail.into(), mend.into());
        Self { subject: subject.to_owned(), name: name.to_owned(), ok: false, detail, mend }
    }
}

/// Looks at everything.
///
/// # Errors
/// When the HTTP client cannot be set up.
pub async fn examine(config: &AgentConfig) -> Result<Vec<Check>, ApiError> {
    let mut checks = Vec::new();
    let mut health = Vec::new();
    for target in &config.targets {
        health.push(examine_target(target, &mut checks).await);
    }
    let api = PlaneClient::new(config)?;
    let beat = Heartbeat { version: env!("CARGO_PKG_VERSION").to_owned(), targets: health };
    judge::plane(&config.control_plane.to_string(), api.heartbeat(&beat).await, &mut checks);
    Ok(checks)
}

async fn examine_target(config: &TargetConfig, checks: &mut Vec<Check>) -> TargetHealth {
    let name = config.name.as_str();
    let target = PostgresTarget::new(config.clone());
    let mut health = TargetHealth {
        target: config.name.clone(),
        host: config.advertise_host.clone(),
        port: config.advertise_port,
        database: config.database.clone(),
        reachable: false,
        error: None,
        server_version: None,
        helpers_version: None,
        packs: Vec::new(),
        target_time: None,
    };
    match target.health().await {
        Err(error) => {
            health.error = Some(error.to_string());
            checks.push(judge::unreachable(config, &error));
        }
        Ok(seen) => {
            let at = format!("{}:{}/{}, PostgreSQL {}", config.host, config.port, config.database, seen.server_version);
            checks.push(Check::well(name, "reachable", at));
            checks.push(judge::helpers(name, &seen.helpers_version));
            judge::packs(name, &seen.packs, checks);
            checks.push(judge::skew(name, seen.at, now()));
            health.reachable = true;
            health.server_version = Some(seen.server_version);
            health.helpers_version = Some(seen.helpers_version);
            health.packs = seen.packs;
            health.target_time = Some(seen.at);
            match target.doctor().await {
                Ok(rows) => checks.extend(rows.into_iter().map(|row| Check { subject: name.to_owned(), ..row })),
                Err(error) => checks.push(Check::finding(name, "doctor", error.to_string(), judge::BOOTSTRAP)),
            }
        }
    }
    health
}

/// The heartbeat's answer, or why there is none.
type Beat = Result<HeartbeatAnswer, ApiError>;

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the doctor compares this machine's clock with the others")]
    Timestamp::now()
}
