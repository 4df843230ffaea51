//! Targets and role packs: what there is to ask for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::{PackName, TargetName};
use crate::wire::agent::EndpointHealth;

/// `GET /v1/targets`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetList {
    /// Targets that the caller may see, by name.
    pub targets: Vec<TargetView>,
}

/// A target, as the caller may use it. `GET /v1/targets/{name}`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetView {
    /// Its name.
    pub name: TargetName,
    /// `postgres`.
    pub kind: String,
    /// Address, once an agent has reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Whether an agent that is online reached it at its last look.
    pub reachable: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Server version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// Version of the helpers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helpers_version: Option<String>,
    /// When an agent last looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// Target's clock minus ledger's clock at that look, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    /// Its servers as the agent last saw them, where it has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointHealth>,
    /// Roles that the caller may ask for here.
    pub roles: Vec<AllowedRole>,
    /// Sessions that are not over.
    pub live_sessions: i64,
}

/// A role that the caller may ask for on a target.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedRole {
    /// The pack.
    pub role: PackName,
    /// The longest that may be asked for.
    pub max_ttl_seconds: u32,
    /// The rule that allows it.
    pub rule: String,
}

/// `GET /v1/packs`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackList {
    /// Packs by name and version.
    pub packs: Vec<PackView>,
}

/// A role pack as agents reported it. `GET /v1/packs/{name}`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackView {
    /// Its name.
    pub name: PackName,
    /// Its version.
    pub version: String,
    /// SHA-256 of its SQL, hex.
    pub digest: String,
    /// Targets where it is registered and usable.
    pub targets: Vec<TargetName>,
}
