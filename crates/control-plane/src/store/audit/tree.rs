//! The tree over the log: its nodes in the ledger, its root at any size, proofs that it grew.
//!
//! Leaves stand beside their events; of what is above them only whole subtrees are kept. All can be made again from the
//! leaves, and is where some are missing, because an older binary linked those events.

use std::collections::HashMap;

use gk_shared::audit::tree::{Frontier, Node, NodeId, consistency_nodes, consistency_proof, frontier_nodes};
use gk_shared::audit::{Checkpoint, Hash, Head};
use tokio_postgres::{GenericClient, Row};

use crate::store::row::Reader;
use crate::store::{Ledger, StoreError};

/// The columns of nodes that are to be written.
#[derive(Debug, Default)]
pub(super) struct NodeRows {
    pub(super) levels: Vec<i16>,
    pub(super) indexes: Vec<i64>,
    pub(super) hashes: Vec<Vec<u8>>,
}

impl NodeRows {
    pub(super) fn push(&mut self, (id, hash): Node) {
        self.levels.push(i16::from(id.level));
        self.indexes.push(i64::try_from(id.index).expect("a log has fewer than 2^63 events"));
        self.hashes.push(hash.0.to_vec());
    }
}

const NODES: &str = "-- audit::nodes
    SELECT n.level, n.index, n.hash FROM unnest($1::smallint[], $2::bigint[]) AS w (level, index)
    JOIN audit_nodes n ON n.level = w.level AND n.index = w.index WHERE w.level > 0
    UNION ALL
    SELECT w.level, w.index, e.leaf FROM unnest($1::smallint[], $2::bigint[]) AS w (level, index)
    JOIN audit_links l ON l.seq = w.index + 1 JOIN audit_events e ON e.id = l.event_id WHERE w.level = 0";
const FILL: &str = "-- audit::fill_nodes\nSELECT audit_fill_nodes($1)";

/// These nodes of the tree of `size`; afterwards none is missing, unless events are.
async fn nodes(client: &impl GenericClient, size: i64, wanted: &[NodeId]) -> Result<HashMap<NodeId, Hash>, StoreError> {
    let mut found = look(client, wanted).await?;
    if wanted.iter().any(|id| !found.contains_key(id)) {
        client.execute(FILL, &[&size]).await?;
        found = look(client, wanted).await?;
    }
    Ok(found)
}

async fn look(client: &impl GenericClient, wanted: &[NodeId]) -> Result<HashMap<NodeId, Hash>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let levels: Vec<i16> = wanted.iter().map(|id| i16::from(id.level)).collect();
    let indexes: Vec<i64> = wanted.iter().map(|id| i64::try_from(id.index).unwrap_or(i64::MAX)).collect();
    client.query(NODES, &[&levels, &indexes]).await?.iter().map(node).collect()
}

fn node(row: &Row) -> Result<Node, StoreError> {
    let row = Reader::new(row, "audit node");
    let (level, index): (i16, i64) = (row.get("level")?, row.get("index")?);
    let level = u8::try_from(level).map_err(|error| row.bad("level", error))?;
    let index = u64::try_from(index).map_err(|error| row.bad("index", error))?;
    let hash: &[u8] = row.get("hash")?;
    Ok((NodeId { level, index }, Hash(hash.try_into().map_err(|error| row.bad("hash", error))?)))
}

/// The frontier of the first `size` events.
pub(super) async fn frontier(client: &impl GenericClient, size: i64) -> Result<Frontier, StoreError> {
    let leaves = u64::try_from(size).unwrap_or(0);
    let found = nodes(client, size, &frontier_nodes(leaves)).await?;
    Frontier::read(leaves, |id| found.get(&id).copied()).ok_or_else(gap)
}

/// Proof that the first `to` events begin with the first `from`; `None` if there are fewer.
pub(super) async fn consistency(
    client: &impl GenericClient,
    from: i64,
    to: i64,
) -> Result<Option<Vec<Hash>>, StoreError> {
    let (Ok(small), Ok(large)) = (u64::try_from(from), u64::try_from(to)) else { return Ok(None) };
    if small > large {
        return Ok(None);
    }
    let found = nodes(client, to, &consistency_nodes(small, large)).await?;
    consistency_proof(small, large, |id| found.get(&id).copied()).map(Some).ok_or_else(gap)
}

fn gap() -> StoreError {
    StoreError::BadRow { entity: "audit node", column: "hash", source: "events of the log are missing".into() }
}

const HEAD: &str = "-- audit::newest_link\nSELECT seq, hash FROM audit_links ORDER BY seq DESC LIMIT 1";
const LINK_AT: &str = "-- audit::link_at\nSELECT seq, hash FROM audit_links WHERE seq = $1";

/// Where the chain ends.
pub(super) async fn head(client: &impl GenericClient) -> Result<Head, StoreError> {
    client.query_opt(HEAD, &[]).await?.as_ref().map_or_else(|| Ok(Head::empty()), link)
}

fn link(row: &Row) -> Result<Head, StoreError> {
    let row = Reader::new(row, "audit link");
    let hash: &[u8] = row.get("hash")?;
    Ok(Head { size: row.get("seq")?, hash: Hash(hash.try_into().map_err(|error| row.bad("hash", error))?) })
}

/// Where chain and tree end.
pub(super) async fn end(ledger: &Ledger) -> Result<(Head, Hash), StoreError> {
    let client = ledger.client(ledger.lane()).await?;
    let client: &tokio_postgres::Client = &client;
    let head = head(client).await?;
    Ok((head, frontier(client, head.size).await?.root()))
}

/// Where the log stands against a checkpoint of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has that place in its past.
    Continues,
    /// It ends here, before that place.
    Shorter(i64),
    /// It says something else about that past.
    Differs,
}

/// Holds the log, by its links and by its tree, against a checkpoint of it that was kept elsewhere.
///
/// # Errors
/// The ledger's own trouble.
pub async fn standing(ledger: &Ledger, known: &Checkpoint) -> Result<Standing, StoreError> {
    let client = ledger.client(ledger.lane()).await?;
    let client: &tokio_postgres::Client = &client;
    let size = known.head.size;
    let reached = head(client).await?;
    if reached.size < size {
        return Ok(Standing::Shorter(reached.size));
    }
    let there = match client.query_opt(LINK_AT, &[&size]).await? {
        Some(row) => Some(link(&row)?),
        None => (size == 0).then(Head::empty),
    };
    let same = there == Some(known.head) && frontier(client, size).await?.root() == known.root;
    Ok(if same { Standing::Continues } else { Standing::Differs })
}
