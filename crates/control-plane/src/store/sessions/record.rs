//! A session as it is read, and who may read it.

use gk_shared::ids::{ActorId, SessionId, TargetId, TokenId};
use gk_shared::names::{PackName, TargetName};
use gk_shared::session::{Desired, EndProof, Intent, SessionFacts, SessionStatus};
use gk_shared::wire::session::{SessionFailure, SessionView};
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::store::{StoreError, row::Reader};

/// Whose key a credential is sealed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The requester sent a public key and has the private one.
    Own,
    /// The key is derived from the requester's token and the session.
    Token,
}

impl KeyKind {
    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Token => "token",
        }
    }
}

impl std::str::FromStr for KeyKind {
    type Err = gk_shared::session::UnknownWord;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "own" => Ok(Self::Own),
            "token" => Ok(Self::Token),
            other => Err(gk_shared::session::UnknownWord(other.to_owned())),
        }
    }
}

/// Which sessions a caller may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Everybody's: admins and auditors.
    All,
    /// One's own.
    Actor(ActorId),
}

impl Viewer {
    /// As a parameter: NULL sees all.
    pub(in crate::store) fn param(self) -> Option<uuid::Uuid> {
        match self {
            Self::All => None,
            Self::Actor(actor) => Some(actor.uuid()),
        }
    }
}

/// A session, whole.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    /// The session.
    pub id: SessionId,
    /// What is wanted and what is seen; [`SessionFacts::status`] is its status.
    pub facts: SessionFacts,
    /// Where.
    pub target: TargetName,
    /// Its id.
    pub target_id: TargetId,
    /// Role pack.
    pub role: PackName,
    /// Version it is pinned to.
    pub pack_version: String,
    /// Who asked.
    pub actor_id: ActorId,
    /// Their name.
    pub requester: String,
    /// The token they asked with: of [`KeyKind::Token`], it alone opens the credential.
    pub token_id: TokenId,
    /// Whose key the credential is sealed to.
    pub key_kind: KeyKind,
    /// That key's fingerprint.
    pub recipient_fingerprint: String,
    /// Why.
    pub reason: Option<String>,
    /// Ticket.
    pub ticket: Option<String>,
    /// How long it was granted for.
    pub ttl_seconds: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the credential first worked.
    pub ready_at: Option<Timestamp>,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// The credential, as the agent sealed it; `None` before it is ready and once it is ending.
    pub sealed_credential: Option<String>,
    /// When the requester was first given it.
    pub credential_read_at: Option<Timestamp>,
    /// Who wanted the end.
    pub ended_by: Option<String>,
    /// When no login and no connection was left.
    pub cut_at: Option<Timestamp>,
    /// When the role was gone.
    pub ended_at: Option<Timestamp>,
    /// Connections at the last look.
    pub backends: Option<i64>,
    /// Why it failed, or why its end keeps failing.
    pub error: Option<SessionFailure>,
    /// Correlation id of the request that made it.
    pub correlation_id: String,
    /// The ledger's clock when this was read.
    pub now: Timestamp,
}

/// What [`SessionRecord::read`] needs, from `sessions s`, `targets t` and `actors a`.
macro_rules! session_columns {
    () => {
        "s.id, s.target_id, t.name AS target, s.pack, s.pack_version, s.actor_id, a.name AS requester, s.token_id, \
         s.key_kind, s.recipient_fingerprint, s.reason, s.ticket, s.ttl_seconds, s.created_at, s.desired, s.generation, \
         s.observed, s.end_reason, s.ready_at, s.expires_at, s.sealed_credential, s.credential_read_at, s.ended_by, \
         s.cut_at, s.ended_at, s.blocked, s.backends, s.error, s.correlation_id, clock_timestamp() AS now"
    };
}
pub(in crate::store) use session_columns;

impl SessionRecord {
    pub(in crate::store) fn read(row: &Row) -> Result<Self, StoreError> {
        let row = Reader::new(row, "session");
        Ok(Self {
            id: row.id("id", SessionId::from_uuid)?,
            facts: facts(&row)?,
            target: row.parse("target")?,
            target_id: row.id("target_id", TargetId::from_uuid)?,
            role: row.parse("pack")?,
            pack_version: row.get("pack_version")?,
            actor_id: row.id("actor_id", ActorId::from_uuid)?,
            requester: row.get("requester")?,
            token_id: row.id("token_id", TokenId::from_uuid)?,
            key_kind: row.parse("key_kind")?,
            recipient_fingerprint: row.get("recipient_fingerprint")?,
            reason: row.get("reason")?,
            ticket: row.get("ticket")?,
            ttl_seconds: row.narrow("ttl_seconds")?,
            created_at: row.get("created_at")?,
            ready_at: row.get("ready_at")?,
            expires_at: row.get("expires_at")?,
            sealed_credential: row.get("sealed_credential")?,
            credential_read_at: row.get("credential_read_at")?,
            ended_by: row.get("ended_by")?,
            cut_at: row.get("cut_at")?,
            ended_at: row.get("ended_at")?,
            backends: row.get("backends")?,
            error: failure(&row)?,
            correlation_id: row.get("correlation_id")?,
            now: row.get("now")?,
        })
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        self.facts.status()
    }

    /// As others see it: without the credential, which is added for the one who asked.
    #[must_use]
    pub fn view(&self) -> SessionView {
        let end_reason = match self.facts.intent {
            Intent::Present => None,
            Intent::Absent(reason) => Some(reason),
        };
        let left = |end: Timestamp| self.now.until(end).map_or(0, |span| span.get_seconds().max(0));
        SessionView {
            session_id: self.id,
            status: self.status(),
            target: self.target.clone(),
            role: self.role.clone(),
            pack_version: self.pack_version.clone(),
            requester: self.requester.clone(),
            reason: self.reason.clone(),
            ticket: self.ticket.clone(),
            created_at: self.created_at,
            ttl_seconds: self.ttl_seconds,
            database_user: self.id.role_name().to_string(),
            expires_at: self.expires_at,
            expires_in_seconds: self.expires_at.filter(|_| end_reason.is_none()).map(left),
            ready_at: self.ready_at,
            end_reason,
            ended_by: self.ended_by.clone(),
            cut_at: self.cut_at,
            ended_at: self.ended_at,
            backends: self.backends,
            blocked: self.facts.end.blocked.clone(),
            error: self.error.clone(),
            dsn: None,
            sealed_credential: None,
            recipient_fingerprint: Some(self.recipient_fingerprint.clone()),
            correlation_id: self.correlation_id.clone(),
        }
    }
}

fn facts(row: &Reader<'_>) -> Result<SessionFacts, StoreError> {
    let cut: Option<Timestamp> = row.get("cut_at")?;
    let ended: Option<Timestamp> = row.get("ended_at")?;
    let intent = match row.parse("desired")? {
        Desired::Present => Intent::Present,
        Desired::Absent => Intent::Absent(row.parse("end_reason")?),
    };
    let end = EndProof { cut: cut.is_some(), dropped: ended.is_some(), blocked: row.get("blocked")? };
    Ok(SessionFacts { intent, generation: row.get("generation")?, observed: row.parse("observed")?, end })
}

fn failure(row: &Reader<'_>) -> Result<Option<SessionFailure>, StoreError> {
    let value: Option<serde_json::Value> = row.get("error")?;
    value.map(serde_json::from_value).transpose().map_err(|error| row.bad("error", error))
}
