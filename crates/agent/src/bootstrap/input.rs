//! What a DBA chooses for a bootstrap, as types that hold only what the script can take.

use std::fmt;
use std::str::FromStr;

/// Why a value cannot go into the bootstrap script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadInput {
    /// Postgres would cut the name, or could not hold it.
    #[error("a schema name has 1 to 63 bytes and no NUL")]
    SchemaName,
    /// The schema is Postgres' or Gatekeeper's own.
    #[error("packs never reach the schemas pg_*, information_schema and gk: name the application's own")]
    SystemSchema,
    /// Postgres would take anything else as a plaintext password.
    #[error("not a SCRAM-SHA-256 verifier of 4096 to 20000 iterations: compute it beside the password")]
    Verifier,
}

/// A schema of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(String);

impl SchemaName {
    /// The schema that every database starts with.
    #[must_use]
    pub fn public() -> Self {
        Self("public".to_owned())
    }

    /// The name, not quoted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SchemaName {
    type Err = BadInput;

    fn from_str(text: &str) -> Result<Self, BadInput> {
        if text.is_empty() || text.len() > 63 || text.contains('\0') {
            return Err(BadInput::SchemaName);
        }
        if text.starts_with("pg_") || text == "information_schema" || text == "gk" {
            return Err(BadInput::SystemSchema);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The verifier of the agent's database password. Debug prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentVerifier(String);

impl AgentVerifier {
    /// The verifier, for the script alone.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AgentVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentVerifier([REDACTED])")
    }
}

impl FromStr for AgentVerifier {
    type Err = BadInput;

    fn from_str(text: &str) -> Result<Self, BadInput> {
        verifier_parts(text).map(|()| Self(text.to_owned())).ok_or(BadInput::Verifier)
    }
}

/// `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, and nothing else.
fn verifier_parts(text: &str) -> Option<()> {
    let (iterations, rest) = text.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
    let (salt, keys) = rest.split_once('$')?;
    let (stored, server) = keys.split_once(':')?;
    let count: u32 = iterations.parse().ok()?;
    let plain = !iterations.starts_with(['0', '+']) && (4096..=20_000).contains(&count);
    (plain && (16..=88).contains(&salt.len()) && is_base64(salt) && is_key(stored) && is_key(server)).then_some(())
}

/// 32 bytes in base64.
fn is_key(text: &str) -> bool {
    text.len() == 44 && is_base64(text) && !text.ends_with("==")
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}
