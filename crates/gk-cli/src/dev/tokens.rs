//! The tokens of the user `dev` and of the agent.
//!
//! The user's is made once, kept, and renewed before it ends; the agent enrols at each start, as the admin that the
//! user is here.

use std::fs;
use std::time::Duration;

use gk_control_plane::config::LedgerConfig;
use gk_shared::problem::ErrorCode;
use gk_shared::secret::{BearerToken, SecretText};
use gk_shared::wire::agent::{AgentIdentityKind, EnrollAgent};
use gk_shared::wire::token::{CreateToken, Scope};

use super::error::DevError;
use super::layout::DevDir;
use super::services::{TARGET, client};
use crate::client::{Address, CallError, Client};

/// The person at this machine, as the control plane knows them.
const USER: &str = "dev";
const AGENT: &str = "dev-agent";
/// How long a token works: the longest there is.
const LIFE_SECONDS: u32 = 90 * 24 * 3600;
/// A token with less than this left is replaced.
const TOO_SHORT: i64 = 7 * 24 * 3600;
/// The admin token of the first start is used at once and for nothing else.
const FIRST_LIFE: Duration = Duration::from_secs(300);

/// Both tokens.
pub(crate) struct Tokens {
    pub(crate) user: BearerToken,
    pub(crate) agent: BearerToken,
}

/// Finds or makes them; the control plane must run.
pub(crate) async fn get(dir: &DevDir, ledger: &LedgerConfig, address: &Address) -> Result<Tokens, DevError> {
    let user = match kept(dir, address).await? {
        Some(token) => token,
        None => make(dir, ledger, address).await?,
    };
    let admin = client(address, &user)?;
    let agent = enroll(&admin).await.map_err(|call| failed(&call))?;
    Ok(Tokens { user, agent: parse(agent.expose())? })
}

/// Gives the agent a new token, and takes away those of earlier starts: nobody has them any more.
async fn enroll(admin: &Client) -> Result<SecretText, CallError> {
    let earlier = admin.tokens().await?.tokens;
    for token in earlier.iter().filter(|token| token.actor == AGENT && token.revoked_at.is_none()) {
        admin.revoke_token(token.token_id).await?;
    }
    let asked = EnrollAgent {
        name: AGENT.parse().expect("is an agent's name"),
        targets: vec![TARGET.parse().expect("is a target's name")],
        ttl_seconds: Some(LIFE_SECONDS),
        identity: AgentIdentityKind::Token,
    };
    Ok(admin.enroll_agent(&asked).await?.token)
}

fn file(dir: &DevDir) -> std::path::PathBuf {
    dir.secrets().join("dev.token")
}

/// The token of an earlier start, if it still works for long enough.
async fn kept(dir: &DevDir, address: &Address) -> Result<Option<BearerToken>, DevError> {
    let Ok(text) = fs::read_to_string(file(dir)) else { return Ok(None) };
    let Ok(token) = BearerToken::parse(text.trim()) else { return Ok(None) };
    match client(address, &token)?.me().await {
        Ok(me) => {
            let left = me.expires_at.as_second() - me.ledger_time.as_second();
            Ok((left > TOO_SHORT && me.scopes.contains(&Scope::Admin)).then_some(token))
        }
        Err(call) if was_refused(&call) => Ok(None),
        Err(call) => Err(failed(&call)),
    }
}

fn was_refused(call: &CallError) -> bool {
    let token_codes = [ErrorCode::TokenExpired, ErrorCode::TokenInvalid, ErrorCode::NotLoggedIn];
    match &call.error {
        crate::client::ClientError::Refused { problem, .. } => {
            token_codes.iter().any(|code| code.as_str() == problem.code)
        }
        _ => false,
    }
}

/// The first token comes from the ledger itself; it makes the one that is kept.
async fn make(dir: &DevDir, ledger: &LedgerConfig, address: &Address) -> Result<BearerToken, DevError> {
    let user = USER.parse().expect("is an actor's name");
    let first = gk_control_plane::admin_token(ledger, user, FIRST_LIFE)
        .await
        .map_err(DevError::part("making the first token", ErrorCode::LedgerUnavailable))?;
    let admin: Client = client(address, &first.token)?;
    let asked = CreateToken {
        service: false,
        actor: USER.parse().expect("is an actor's name"),
        scopes: vec![Scope::Requester, Scope::Admin, Scope::Auditor],
        groups: Some(vec![USER.parse().expect("is a group's name")]),
        email: None,
        ttl_seconds: Some(LIFE_SECONDS),
    };
    let made = admin.create_token(&asked).await.map_err(|call| failed(&call))?;
    admin.revoke_token(first.id).await.map_err(|call| failed(&call))?;
    let token = parse(made.token.expose())?;
    dir.write(&file(dir), token.expose().as_bytes())?;
    Ok(token)
}

fn parse(text: &str) -> Result<BearerToken, DevError> {
    BearerToken::parse(text).map_err(DevError::part("reading a token", ErrorCode::VersionMismatch))
}

fn failed(call: &CallError) -> DevError {
    let message = format!("{} (request {})", call.error, call.request);
    DevError::Part { part: "setting up the control plane", code: ErrorCode::Internal, message }
}
