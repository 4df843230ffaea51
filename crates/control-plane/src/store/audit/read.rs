//! Reading the audit log in the order of its chain.

use gk_shared::audit::note::Note;
use gk_shared::audit::{AuditAction, AuditRecord, Outcome};
use gk_shared::ids::RequestId;
use gk_shared::wire::audit::{AuditPage, Checkpoint};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::checkpoints::{self, Kept};
use super::tree;
use crate::store::row::Reader;
use crate::store::{Ledger, StoreError};

/// Which events to read. An answer with a filter has gaps and cannot be verified.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// What it happened to: a session id, a target's name, …
    pub object: Option<String>,
    /// Who, as the log writes it: `ada`, `agent:eu-1`, `system`.
    pub actor: Option<String>,
    /// What.
    pub action: Option<AuditAction>,
    /// What else it says.
    pub search: AuditSearch,
}

/// What only a look into each event tells. No index helps: the log is read from `after` on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSearch {
    /// The request that it belongs to.
    pub request: Option<RequestId>,
    /// How it went.
    pub outcome: Option<Outcome>,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// Words in it, in either case.
    pub text: Option<String>,
}

/// The log, of everything, of one object, or searched: three texts, so that each has a plan of its own.
macro_rules! events_sql {
    ($object:literal) => {
        events_sql!($object, "")
    };
    ($object:literal, $search:literal) => {
        concat!(
            "-- audit::events
            SELECT l.seq, l.prev, l.hash, e.canonical FROM audit_links l JOIN audit_events e ON e.id = l.event_id
            WHERE l.seq > $1 AND ",
            $object,
            " AND ($3::text IS NULL OR e.actor = $3) AND ($4::text IS NULL OR e.action = $4)",
            $search,
            " ORDER BY l.seq LIMIT $5"
        )
    };
}
const EVENTS: &str = events_sql!("$2::text IS NULL");
const EVENTS_OF: &str = events_sql!("e.object = $2");
/// Times have one form in an event, so that their texts have the order of the times.
const SEARCH: &str = events_sql!(
    "($2::text IS NULL OR e.object = $2)",
    " AND ($6::text IS NULL OR e.canonical::jsonb ->> 'request' = $6)
      AND ($7::text IS NULL OR e.canonical::jsonb ->> 'outcome' = $7)
      AND ($8::text IS NULL OR e.canonical::jsonb ->> 'at' >= $8)
      AND ($9::text IS NULL OR e.canonical::jsonb ->> 'at' < $9)
      AND ($10::text IS NULL OR strpos(lower(e.canonical), lower($10)) > 0)"
);

/// The linked events after `after` that match. [`super::seal`] with [`super::Patience::Wait`] before this makes sure
/// that it shows everything committed by now.
///
/// # Errors
/// The ledger's own trouble.
pub async fn events(ledger: &Ledger, after: i64, limit: u16, filter: &AuditFilter) -> Result<AuditPage, StoreError> {
    let action = filter.action.map(AuditAction::as_str);
    let one_more = i64::from(limit) + 1;
    let params: [&(dyn ToSql + Sync); 5] = [&after, &filter.object, &filter.actor, &action, &one_more];
    let rows = match &filter.search {
        search if *search != AuditSearch::default() => searched(ledger, params, search).await?,
        _ if filter.object.is_some() => ledger.query(EVENTS_OF, &params).await?,
        _ => ledger.query(EVENTS, &params).await?,
    };
    let mut events = rows.iter().map(link).collect::<Result<Vec<_>, _>>()?;
    let more = events.len() > usize::from(limit);
    events.truncate(usize::from(limit));
    let next_after = events.last().map_or(after, |last| last.seq);
    Ok(AuditPage { events, next_after, more, unsealed: unsealed(ledger).await? })
}

async fn searched(
    ledger: &Ledger,
    [after, object, actor, action, one_more]: [&(dyn ToSql + Sync); 5],
    search: &AuditSearch,
) -> Result<Vec<Row>, StoreError> {
    let time = |at: Option<Timestamp>| at.map(|at| format!("{at:.6}"));
    let (request, since, until) = (search.request.map(|id| id.to_string()), time(search.since), time(search.until));
    let outcome = search.outcome.map(Outcome::as_str);
    let params: [&(dyn ToSql + Sync); 10] =
        [after, object, actor, action, one_more, &request, &outcome, &since, &until, &search.text];
    ledger.query(SEARCH, &params).await
}

/// A row of `seq`, `prev`, `hash` and `canonical`.
pub(in crate::store) fn link(row: &Row) -> Result<AuditRecord, StoreError> {
    let row = Reader::new(row, "audit link");
    Ok(AuditRecord {
        seq: row.get("seq")?,
        prev_hash: gk_shared::seal::hex(row.get("prev")?),
        hash: gk_shared::seal::hex(row.get("hash")?),
        event: row.get("canonical")?,
    })
}

/// Where the log stands: the newest signed checkpoint, or its end where nobody ever signed; with the proof that it
/// continues the log of size `from`.
///
/// # Errors
/// The ledger's own trouble.
pub async fn checkpoint(ledger: &Ledger, from: Option<i64>) -> Result<Checkpoint, StoreError> {
    let mut made = match checkpoints::newest_checkpoint(ledger).await? {
        Some(kept) => signed(kept)?,
        None => end(ledger).await?,
    };
    if let Some(from) = from {
        made.consistency = checkpoints::proof(ledger, from, made.size).await?;
    }
    Ok(made)
}

fn signed(Kept { sealed, at }: Kept) -> Result<Checkpoint, StoreError> {
    let bad = |source| StoreError::BadRow { entity: "audit checkpoint", column: "note", source };
    let note = sealed.checkpoint.parse::<Note>().map_err(|error| bad(error.into()))?;
    let read = gk_shared::audit::Checkpoint::of_note(&note).map_err(|error| bad(error.into()))?;
    Ok(Checkpoint {
        origin: read.origin.to_string(),
        size: read.head.size,
        hash: read.head.hash.to_string(),
        root: Some(read.root.to_string()),
        at: Some(at),
        note: Some(sealed.checkpoint),
        epochs: sealed.epochs,
        consistency: None,
    })
}

const LINKED_AT: &str = "-- audit::linked_at\nSELECT linked_at FROM audit_links WHERE seq = $1";

async fn end(ledger: &Ledger) -> Result<Checkpoint, StoreError> {
    let (head, root) = tree::end(ledger).await?;
    let at = ledger.opt(LINKED_AT, &[&head.size]).await?;
    let at = at.map(|row| Reader::new(&row, "audit link").get("linked_at")).transpose()?;
    Ok(Checkpoint {
        origin: checkpoints::origin(ledger).await?.to_string(),
        size: head.size,
        hash: head.hash.to_string(),
        root: Some(root.to_string()),
        at,
        note: None,
        epochs: vec![],
        consistency: None,
    })
}

const UNSEALED: &str = "-- audit::unsealed
    WITH head AS (
        SELECT CASE WHEN upto < pg_snapshot_xmax(pg_current_snapshot()) THEN upto ELSE '0'::xid8 END AS lo
        FROM audit_links ORDER BY seq DESC LIMIT 1
    )
    SELECT count(*) AS unsealed FROM audit_events e
    WHERE e.txid >= coalesce((SELECT lo FROM head), '0'::xid8) AND e.txid < pg_snapshot_xmax(pg_current_snapshot())
      AND NOT EXISTS (SELECT FROM audit_links l WHERE l.event_id = e.id)";

/// Events that are written and not linked yet.
///
/// # Errors
/// The ledger's own trouble.
pub async fn unsealed(ledger: &Ledger) -> Result<i64, StoreError> {
    let row = ledger.one(UNSEALED, &[]).await?;
    Reader::new(&row, "audit event").get("unsealed")
}
