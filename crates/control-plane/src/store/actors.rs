//! Actors: people, services and agents.

use gk_shared::audit::AuditAction;
use gk_shared::ids::{ActorId, SessionId};
use gk_shared::names::{ActorName, GroupName};
use gk_shared::session::EndReason;
use tokio_postgres::types::ToSql;

use super::row::Reader;
use super::sessions::end::{Guard, Why, end_all, want_absent};
use super::{AuditedTx, Event, Lane, Ledger, Origin, StoreError};

/// What an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// A person.
    Human,
    /// A script or a program.
    Service,
    /// An agent beside a target.
    Agent,
}

impl ActorKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Human, Self::Service, Self::Agent];
    /// The word in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Service => "service",
            Self::Agent => "agent",
        }
    }
}

impl std::str::FromStr for ActorKind {
    type Err = gk_shared::session::UnknownWord;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().copied().find(|kind| kind.as_str() == word);
        known.ok_or_else(|| gk_shared::session::UnknownWord(word.to_owned()))
    }
}

/// An actor to find, or to make where there is none.
#[derive(Debug, Clone)]
pub struct ActorSpec {
    /// Its name.
    pub name: ActorName,
    /// What it is, if it has to be made.
    pub kind: ActorKind,
    /// Its groups from now on; `None` leaves them.
    pub groups: Option<Vec<GroupName>>,
    /// Its e-mail from now on; `None` leaves it.
    pub email: Option<String>,
}

/// How the log names the control plane's own acts and those of callers it does not know: nobody may be called so.
const RESERVED: [&str; 2] = ["system", "anonymous"];

/// Whether no person or service may have this name.
#[must_use]
pub fn is_reserved(name: &ActorName) -> bool {
    RESERVED.contains(&name.as_str())
}

const UPSERT: &str = "-- actors::upsert
    INSERT INTO actors (id, tenant_id, kind, name, groups, email)
    VALUES ($1, $2, $3, $4, coalesce($5::text[], '{}'), $6)
    ON CONFLICT (tenant_id, (kind = 'agent'), name) DO UPDATE
        SET groups = coalesce($5, actors.groups), email = coalesce($6, actors.email)
    RETURNING id";

/// Finds the actor or makes it, and brings groups and e-mail up to date.
pub(super) async fn upsert(tx: &AuditedTx, spec: &ActorSpec) -> Result<ActorId, StoreError> {
    let groups: Option<Vec<&str>> = spec.groups.as_ref().map(|groups| groups.iter().map(GroupName::as_str).collect());
    let fresh: ActorId = tx.fresh();
    let (kind, name) = (spec.kind.as_str(), spec.name.as_str());
    let params: [&(dyn ToSql + Sync); 6] =
        [&fresh.uuid(), &Ledger::tenant().uuid(), &kind, &name, &groups, &spec.email];
    let row = tx.one(UPSERT, &params).await?;
    Reader::new(&row, "actor").id("id", ActorId::from_uuid)
}

const FIND: &str = "-- actors::find
    SELECT id FROM actors WHERE tenant_id = $1 AND kind <> 'agent' AND name = $2";

/// The person or service of this name.
///
/// # Errors
/// The ledger's own trouble.
pub async fn find(ledger: &Ledger, name: &ActorName) -> Result<Option<ActorId>, StoreError> {
    let row = ledger.opt(FIND, &[&Ledger::tenant().uuid(), &name.as_str()]).await?;
    row.map(|row| Reader::new(&row, "actor").id("id", ActorId::from_uuid)).transpose()
}

const DISABLE: &str = "-- actors::disable
    UPDATE actors SET disabled_at = now() WHERE id = $1 AND tenant_id = $2 AND disabled_at IS NULL RETURNING name";
const LIVE: &str = "-- actors::live_sessions
    SELECT id FROM sessions WHERE actor_id = $1 AND desired = 'present'";

/// Disables an actor: its tokens stop working and its sessions end. False if there is none, or it was disabled before.
///
/// # Errors
/// The ledger's own trouble.
pub async fn disable(ledger: &Ledger, origin: Origin, actor: ActorId) -> Result<bool, StoreError> {
    let mut tx = ledger.begin(Lane::Ending, origin.clone()).await?;
    let Some(row) = tx.opt(DISABLE, &[&actor.uuid(), &Ledger::tenant().uuid()]).await? else { return Ok(false) };
    let name: String = Reader::new(&row, "actor").get("name")?;
    let rows = tx.query(LIVE, &[&actor.uuid()]).await?;
    let ids = rows
        .iter()
        .map(|row| Reader::new(row, "session").id("id", SessionId::from_uuid))
        .collect::<Result<Vec<_>, _>>()?;
    let note = Some(format!("{name} was disabled"));
    let why = Why { reason: EndReason::Revoked, by: tx.origin().name().to_owned(), error: None, note };
    let ended = want_absent(&mut tx, &ids, &why).await?;
    let disabled = Event::new(AuditAction::ActorDisabled, actor).fact("name", name).fact("sessions", ended.len());
    let recorded = ended.into_iter().fold(tx.record(disabled), super::Recorded::and);
    match recorded.commit().await {
        Ok(()) => Ok(true),
        // Nobody is disabled without an event, but nobody's sessions wait for the log. No new ones are given meanwhile.
        Err(StoreError::AuditUnavailable(error)) => {
            end_all(ledger, &origin, &ids, (&why, Guard::Always)).await?;
            Err(StoreError::AuditUnavailable(error))
        }
        Err(error) => Err(error),
    }
}
