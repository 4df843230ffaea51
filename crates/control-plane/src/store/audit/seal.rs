//! The sealer: gives every committed event its place and links it to all before it.
//!
//! Always holds: one sealer works at a time (an advisory lock), places have no gaps, no row is ever changed. A batch is
//! every event that is committed and not linked, in the order of their transactions; one that commits later, however
//! early it began, simply gets a later place. So nobody's long transaction holds the chain up.

use std::time::Duration;

use gk_shared::audit::tree::Frontier;
use gk_shared::audit::{AuditAction, Hash, link_hash};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use super::tree::{self, NodeRows};
use crate::store::row::Reader;
use crate::store::{Event, Lane, Ledger, Origin, StoreError};
use crate::wakeups::Wake;

/// The advisory lock that makes one sealer of many.
const LOCK: i64 = 0x676b_5f73_6561_6c65;
/// Events of one batch at most; a full one is followed by the next at once.
const BATCH: i64 = 1000;

/// What to do while another one seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Leave it to the other one.
    Try,
    /// Wait: the caller wants to see everything that is committed by now.
    Wait,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// So many events were linked.
    Linked(usize),
    /// Another one is at it.
    Busy,
}

/// Links every event that is committed by now.
///
/// # Errors
/// The ledger's own trouble.
pub async fn seal(ledger: &Ledger, patience: Patience) -> Result<Sealed, StoreError> {
    let mut total = 0;
    loop {
        match batch(ledger, patience).await? {
            Sealed::Busy => return Ok(Sealed::Busy),
            Sealed::Linked(count) => {
                total += count;
                if count < usize::try_from(BATCH).expect("a batch is small") {
                    break;
                }
            }
        }
    }
    if total > 0 {
        ledger.wakeups().wake(Wake::Audit);
    }
    Ok(Sealed::Linked(total))
}

/// Events from `lo` on may be unlinked. The upper bound leaves out what a dump from another server brought along with
/// transaction numbers of that one; so does the case that `lo` itself is from there.
const PENDING: &str = "-- audit::pending
    WITH head AS (
        SELECT seq, hash, CASE WHEN upto < pg_snapshot_xmax(pg_current_snapshot()) THEN upto ELSE '0'::xid8 END AS lo
        FROM audit_links ORDER BY seq DESC LIMIT 1
    )
    SELECT e.id, e.leaf, least(e.txid, pg_snapshot_xmin(pg_current_snapshot()))::text AS reached, pg_snapshot_xmin(pg_current_snapshot())::text AS xmin,
        (SELECT seq FROM head) AS seq, (SELECT hash FROM head) AS hash
    FROM audit_events e
    WHERE e.txid >= coalesce((SELECT lo FROM head), '0'::xid8) AND e.txid < pg_snapshot_xmax(pg_current_snapshot())
      AND NOT EXISTS (SELECT FROM audit_links l WHERE l.event_id = e.id)
    ORDER BY e.txid, e.id LIMIT $1";
const TRY_LOCK: &str = "-- audit::seal_try\nSELECT pg_try_advisory_xact_lock($1) AS mine";
const WAIT_LOCK: &str = "-- audit::seal_wait\nSELECT true AS mine FROM (SELECT pg_advisory_xact_lock($1)) l";
const LINK: &str = "-- audit::link
    WITH nodes AS (
        INSERT INTO audit_nodes (tenant_id, level, index, hash)
        SELECT $6, n.level, n.index, n.hash FROM unnest($7::smallint[], $8::bigint[], $9::bytea[]) AS n (level, index, hash)
        ON CONFLICT DO NOTHING
    )
    INSERT INTO audit_links (tenant_id, seq, event_id, prev, hash, upto)
    SELECT $6, l.seq, l.event_id, l.prev, l.hash, ($5::text)::xid8
    FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[]) AS l (seq, event_id, prev, hash)";

async fn batch(ledger: &Ledger, patience: Patience) -> Result<Sealed, StoreError> {
    let mut client = ledger.client(Lane::Normal).await?;
    let pending = client.prepare_cached(PENDING).await?;
    // A look without the lock first: most of the time there is nothing to do.
    if patience == Patience::Try && client.query(&pending, &[&1_i64]).await?.is_empty() {
        return Ok(Sealed::Linked(0));
    }
    let lock = match patience {
        Patience::Try => TRY_LOCK,
        Patience::Wait => WAIT_LOCK,
    };
    let (lock, link) = (client.prepare_cached(lock).await?, client.prepare_cached(LINK).await?);
    let tx = client.transaction().await?;
    if !tx.query_one(&lock, &[&LOCK]).await?.try_get::<_, bool>("mine")? {
        return Ok(Sealed::Busy);
    }
    // A statement of its own after the lock: it sees all that the sealer before committed.
    let rows = tx.query(&pending, &[&BATCH]).await?;
    if let Some(first) = rows.first() {
        let size: Option<i64> = Reader::new(first, "audit link").get("seq")?;
        let tree = tree::frontier(&*tx, size.unwrap_or(0)).await?;
        write(&tx, &link, &links(&rows, tree)?).await?;
    }
    tx.commit().await?;
    Ok(Sealed::Linked(rows.len()))
}

#[derive(Default)]
struct Links {
    seqs: Vec<i64>,
    events: Vec<Uuid>,
    prevs: Vec<Vec<u8>>,
    hashes: Vec<Vec<u8>>,
    upto: String,
    /// Subtrees that these events complete.
    nodes: NodeRows,
}

fn links(rows: &[Row], mut tree: Frontier) -> Result<Links, StoreError> {
    let mut made = Links::default();
    let full = rows.len() == usize::try_from(BATCH).expect("a batch is small");
    let mut head: Option<(i64, Hash)> = None;
    for row in rows {
        let row = Reader::new(row, "audit event");
        let (seq, prev) = match head {
            Some(head) => head,
            None => (row.get::<Option<i64>>("seq")?.unwrap_or(0), stored(&row)?),
        };
        let leaf: &[u8] = row.get("leaf")?;
        let leaf = Hash(leaf.try_into().map_err(|error| row.bad("leaf", error))?);
        let hash = link_hash(prev, seq + 1, leaf);
        tree.push(leaf, |node| made.nodes.push(node));
        made.seqs.push(seq + 1);
        made.events.push(row.get("id")?);
        made.prevs.push(prev.0.to_vec());
        made.hashes.push(hash.0.to_vec());
        // Never beyond what is still open: a transaction that began earlier and commits later is looked for again.
        made.upto = row.get(if full { "reached" } else { "xmin" })?;
        head = Some((seq + 1, hash));
    }
    Ok(made)
}

/// Hash of the last link, or what the first one links to.
fn stored(row: &Reader<'_>) -> Result<Hash, StoreError> {
    let hash: Option<&[u8]> = row.get("hash")?;
    hash.map_or_else(|| Ok(Hash::genesis()), |hash| hash.try_into().map(Hash).map_err(|error| row.bad("hash", error)))
}

async fn write(tx: &deadpool_postgres::Transaction<'_>, link: &Statement, links: &Links) -> Result<(), StoreError> {
    let tenant = Ledger::tenant().uuid();
    let Links { seqs, events, prevs, hashes, upto, nodes } = links;
    let NodeRows { levels, indexes, hashes: made } = nodes;
    let params: [&(dyn ToSql + Sync); 9] = [seqs, events, prevs, hashes, upto, &tenant, levels, indexes, made];
    tx.execute(link, &params).await.map_err(StoreError::audit).map(drop)
}

const SILENT: &str = "-- audit::silent
    SELECT NOT EXISTS (
        SELECT FROM (SELECT linked_at FROM audit_links ORDER BY seq DESC LIMIT 1) last
        WHERE linked_at > clock_timestamp() - make_interval(secs => $1)
    ) AS silent";

/// Writes an event that says that nothing happened, if nothing did for so long.
///
/// # Errors
/// The ledger's own trouble.
pub async fn heartbeat(ledger: &Ledger, silence: Duration) -> Result<bool, StoreError> {
    let row = ledger.one(SILENT, &[&silence.as_secs_f64()]).await?;
    let silent: bool = Reader::new(&row, "audit link").get("silent")?;
    if silent {
        super::record(ledger, Origin::system(), Event::new(AuditAction::LogHeartbeat, "log")).await?;
    }
    Ok(silent)
}
