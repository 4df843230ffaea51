//! Tokens and who they stand for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{ActorId, TokenId};
use crate::names::{ActorName, GroupName};
use crate::secret::SecretText;

/// The longest that a token works: 90 days.
pub const MAX_TOKEN_SECONDS: u32 = 90 * 24 * 3600;

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for sessions and handle one's own.
    Requester,
    /// Everything but claiming jobs: tokens, agents, other people's sessions, clean-up.
    Admin,
    /// Read sessions and the audit log.
    Auditor,
    /// Claim and report jobs.
    Agent,
}

impl Scope {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Requester, Self::Admin, Self::Auditor, Self::Agent];
    /// The word in JSON, the ledger and the CLI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requester => "requester",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Agent => "agent",
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

impl std::str::FromStr for Scope {
    type Err = crate::session::UnknownWord;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str() == word)
            .ok_or_else(|| crate::session::UnknownWord(word.to_owned()))
    }
}

/// `POST /v1/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema, garde::Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateToken {
    /// Whose token; the actor is made where there is none.
    #[garde(skip)]
    pub actor: ActorName,
    /// Whether the actor is a program: then every create needs an Idempotency-Key of its own. Kept as it was for an
    /// actor that there is already.
    #[serde(default)]
    #[garde(skip)]
    pub service: bool,
    /// What it may be used for (not `agent`: enrol those).
    #[garde(length(min = 1, max = 4))]
    #[schema(min_items = 1, max_items = 4)]
    pub scopes: Vec<Scope>,
    /// Groups of the actor, for policy; replaces those there were. Absent: unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(max = 64)))]
    #[schema(max_items = 64)]
    pub groups: Option<Vec<GroupName>>,
    /// E-mail of the actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(length(max = 254)))]
    #[schema(max_length = 254)]
    pub email: Option<String>,
    /// How long it works, in seconds: 60 to 7,776,000 (90 days); default 12 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(range(min = 60, max = MAX_TOKEN_SECONDS)))]
    #[schema(minimum = 60, maximum = 7_776_000)]
    pub ttl_seconds: Option<u32>,
}

/// Answer: the token is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedToken {
    /// The token's id.
    pub token_id: TokenId,
    /// Whose.
    pub actor: ActorName,
    /// What for.
    pub scopes: Vec<Scope>,
    /// The token itself.
    pub token: SecretText,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A token as admins see it: never the token itself.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// The token's id.
    pub token_id: TokenId,
    /// Whose: an actor's or an agent's name.
    pub actor: String,
    /// What for.
    pub scopes: Vec<Scope>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// `GET /v1/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenList {
    /// Tokens, newest first.
    pub tokens: Vec<TokenView>,
}

/// `GET /v1/me`: who the caller is.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The actor.
    pub actor_id: ActorId,
    /// Its name.
    pub actor: ActorName,
    /// Its groups.
    pub groups: Vec<GroupName>,
    /// The token used.
    pub token_id: TokenId,
    /// What it is for.
    pub scopes: Vec<Scope>,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// Ledger's clock.
    pub ledger_time: Timestamp,
    /// The control plane's version.
    pub version: String,
}
