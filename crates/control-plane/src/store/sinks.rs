//! How far each sink of the audit log has got, and what it is given next.
//!
//! Always holds: one process at a time delivers to a sink, for as long as it holds the row; where a batch ends is written
//! down before it is sent, so that it is the same batch when it is sent again, by whomever; a sink never goes back.

use std::time::Duration;

use gk_shared::audit::SealedHead;
use gk_shared::wire::status::SinkStatus;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::row::Reader;
use super::{Ledger, StoreError, audit};
use crate::sinks::{Content, SinkName};

/// How long a process that says nothing more keeps a sink from the others. Longer than one delivery may take.
pub const HOLD: Duration = Duration::from_secs(15);
/// A hold that has less left than this is renewed before a delivery begins.
const RENEW: Duration = Duration::from_secs(12);
/// Events of one batch at most.
const MOST_EVENTS: i64 = 256;
/// Checkpoints of one batch at most.
const MOST_CHECKPOINTS: i64 = 16;
/// A batch that has grown to so many bytes gets no further line.
const MOST_BYTES: usize = 256 * 1024;

/// A place in what a sink is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    event: i64,
    /// Size and epoch.
    checkpoint: (i64, i32),
}

/// A sink's row, as one process finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is to be delivered.
    Idle,
    /// Another process delivers.
    Theirs,
    /// It took nothing a moment ago, and is left alone for a while by all.
    Resting,
    /// This process may deliver.
    Ours(Standing),
}

/// How far a sink has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    reached: Place,
    /// Where the batch ends that was begun and not finished.
    next: Option<Place>,
    /// Deliveries in a row that it did not take, from whomever.
    pub tries: u32,
}

/// What is delivered at once: whole lines, events first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The lines, without their ends.
    pub lines: Vec<String>,
    /// Whether there is more.
    pub full: bool,
    upto: Place,
}

const REGISTER: &str = "-- sinks::register
    INSERT INTO audit_sinks (tenant_id, name, size, epoch)
    SELECT $1, $2, coalesce(max(c.size), 0), coalesce(max(c.epoch) - 1, 0)
    FROM (SELECT size, epoch FROM audit_checkpoints ORDER BY size DESC, epoch DESC LIMIT 1) c ON CONFLICT DO NOTHING";

/// Makes the row of a sink that is new: it is given the whole log from its first event on, and the newest checkpoint.
///
/// # Errors
/// The ledger's own trouble.
pub async fn register(ledger: &Ledger, name: &SinkName) -> Result<(), StoreError> {
    ledger.query(REGISTER, &[&Ledger::tenant().uuid(), &name.as_str()]).await.map(drop)
}

/// Whether the sink is left alone now. No pause is as long as this: what looks longer was noted before the ledger's clock
/// was set back, and would keep the log from its receiver for as long as that.
macro_rules! resting {
    () => {
        "coalesce(not_before > clock_timestamp() AND not_before < clock_timestamp() + interval '10 minutes', false)"
    };
}

const LOOK: &str = concat!(
    "-- sinks::look
    SELECT s.event, s.size, s.epoch, s.next_event, s.next_size, s.next_epoch,
        s.next_event IS NOT NULL
            OR ($3 AND EXISTS (SELECT FROM audit_links l WHERE l.seq > s.event))
            OR ($4 AND EXISTS (SELECT FROM audit_checkpoints c WHERE (c.size, c.epoch) > (s.size, s.epoch))) AS due,
        ",
    resting!(),
    " AS resting, s.tries,
        coalesce(s.holder <> $2 AND s.held_until > clock_timestamp(), false) AS theirs,
        coalesce(s.holder = $2 AND s.held_until > clock_timestamp() + make_interval(secs => $5), false) AS ours
    FROM audit_sinks s WHERE s.name = $1"
);
const HOLD_IT: &str = concat!(
    "-- sinks::hold
    UPDATE audit_sinks SET holder = $2, held_until = clock_timestamp() + make_interval(secs => $3)
    WHERE name = $1 AND (holder IS NULL OR holder = $2 OR held_until <= clock_timestamp())
      AND NOT ",
    resting!(),
    " RETURNING event, size, epoch, next_event, next_size, next_epoch, tries"
);

/// Looks whether there is something to deliver, and takes or keeps the sink for `holder` if so.
///
/// # Errors
/// The ledger's own trouble.
pub async fn turn(ledger: &Ledger, name: &SinkName, content: Content, holder: Uuid) -> Result<Turn, StoreError> {
    let (name, renew) = (name.as_str(), RENEW.as_secs_f64());
    let params: [&(dyn ToSql + Sync); 5] = [&name, &holder, &content.events(), &content.checkpoints(), &renew];
    let row = ledger.one(LOOK, &params).await?;
    let found = Reader::new(&row, "audit sink");
    if !found.get("due")? {
        return Ok(Turn::Idle);
    }
    match (found.get("resting")?, found.get("theirs")?, found.get("ours")?) {
        (true, _, _) => Ok(Turn::Resting),
        (false, true, _) => Ok(Turn::Theirs),
        (false, false, true) => Ok(Turn::Ours(standing(&found)?)),
        (false, false, false) => match ledger.opt(HOLD_IT, &[&name, &holder, &HOLD.as_secs_f64()]).await? {
            Some(row) => Ok(Turn::Ours(standing(&Reader::new(&row, "audit sink"))?)),
            None => Ok(Turn::Theirs),
        },
    }
}

fn standing(row: &Reader<'_>) -> Result<Standing, StoreError> {
    let reached = Place { event: row.get("event")?, checkpoint: (row.get("size")?, row.get("epoch")?) };
    let next = match row.get("next_event")? {
        Some(event) => Some(Place { event, checkpoint: (row.get("next_size")?, row.get("next_epoch")?) }),
        None => None,
    };
    Ok(Standing { reached, next, tries: row.narrow("tries")? })
}

const EVENTS: &str = "-- sinks::events
    SELECT l.seq, l.prev, l.hash, e.canonical FROM audit_links l JOIN audit_events e ON e.id = l.event_id
    WHERE l.seq > $1 AND l.seq <= $2 ORDER BY l.seq LIMIT $3";
/// With the keys that there were when it was signed: the line is the same whenever it is read.
const CHECKPOINTS: &str = "-- sinks::checkpoints
    SELECT c.size, c.epoch, c.note,
        ARRAY(SELECT e.note FROM audit_epochs e WHERE e.number <= c.epoch ORDER BY e.number) AS epochs
    FROM audit_checkpoints c WHERE (c.size, c.epoch) > ($1, $2) AND (c.size, c.epoch) <= ($3, $4)
    ORDER BY c.size, c.epoch LIMIT $5";

/// What is to be delivered next; the same as before if that was not finished.
///
/// # Errors
/// The ledger's own trouble.
pub async fn batch(ledger: &Ledger, content: Content, standing: Standing) -> Result<Batch, StoreError> {
    let Standing { reached, next, tries: _ } = standing;
    let mut batch = Batch { lines: Vec::new(), full: false, upto: reached };
    // Nothing is left out of a batch whose end is known already.
    let mut room = if next.is_some() { usize::MAX } else { MOST_BYTES };
    if content.events() {
        let (last, most) = next.map_or((i64::MAX, MOST_EVENTS), |next| (next.event, i64::MAX));
        let rows = ledger.query(EVENTS, &[&reached.event, &last, &most]).await?;
        batch.full |= i64::try_from(rows.len()).is_ok_and(|count| count == most);
        for row in rows {
            let record = audit::link(&row)?;
            let line = serde_json::to_string(&record).expect("a record holds texts and integers");
            if !batch.add(line, &mut room) {
                break;
            }
            batch.upto.event = record.seq;
        }
    }
    if content.checkpoints() {
        // Behind the last event that it covers, where there are events.
        let behind = if content.events() { batch.upto.event } else { i64::MAX };
        let (last, most) = next.map_or(((behind, i32::MAX), MOST_CHECKPOINTS), |next| (next.checkpoint, i64::MAX));
        let params: [&(dyn ToSql + Sync); 5] = [&reached.checkpoint.0, &reached.checkpoint.1, &last.0, &last.1, &most];
        let rows = ledger.query(CHECKPOINTS, &params).await?;
        batch.full |= i64::try_from(rows.len()).is_ok_and(|count| count == most);
        for row in rows {
            let row = Reader::new(&row, "audit checkpoint");
            let sealed = SealedHead { checkpoint: row.get("note")?, epochs: row.get("epochs")? };
            if !batch.add(sealed.line(), &mut room) {
                break;
            }
            batch.upto.checkpoint = (row.get("size")?, row.get("epoch")?);
        }
    }
    Ok(batch)
}

impl Batch {
    /// Adds a line if there is room; the first one always has room.
    fn add(&mut self, line: String, room: &mut usize) -> bool {
        if line.len() > *room && !self.lines.is_empty() {
            self.full = true;
            return false;
        }
        *room = room.saturating_sub(line.len());
        self.lines.push(line);
        true
    }
}

const BEGIN: &str = "-- sinks::begin
    UPDATE audit_sinks SET next_event = $3, next_size = $4, next_epoch = $5,
        held_until = clock_timestamp() + make_interval(secs => $6)
    WHERE name = $1 AND holder = $2 RETURNING name";

/// Writes down where the batch ends, before anything of it is sent. False if somebody else has the sink by now.
///
/// # Errors
/// The ledger's own trouble.
pub async fn begin(ledger: &Ledger, name: &SinkName, holder: Uuid, batch: &Batch) -> Result<bool, StoreError> {
    let Place { event, checkpoint: (size, epoch) } = batch.upto;
    let (name, hold) = (name.as_str(), HOLD.as_secs_f64());
    let params: [&(dyn ToSql + Sync); 6] = [&name, &holder, &event, &size, &epoch, &hold];
    Ok(ledger.opt(BEGIN, &params).await?.is_some())
}

const FINISH: &str = "-- sinks::finish
    UPDATE audit_sinks SET event = $3, size = $4, epoch = $5, next_event = NULL, next_size = NULL, next_epoch = NULL,
        delivered_at = clock_timestamp(), tries = 0, not_before = NULL
    WHERE name = $1 AND holder = $2 RETURNING name";

/// Notes that a batch was delivered.
///
/// # Errors
/// The ledger's own trouble.
pub async fn finish(ledger: &Ledger, name: &SinkName, holder: Uuid, batch: &Batch) -> Result<(), StoreError> {
    let Place { event, checkpoint: (size, epoch) } = batch.upto;
    let name = name.as_str();
    let params: [&(dyn ToSql + Sync); 5] = [&name, &holder, &event, &size, &epoch];
    ledger.query(FINISH, &params).await.map(drop)
}

const REFUSED: &str = "-- sinks::refused
    UPDATE audit_sinks SET tries = tries + 1, not_before = clock_timestamp() + make_interval(secs => $3)
    WHERE name = $1 AND holder = $2";

/// Notes that a delivery was not taken, and for how long nobody is to try again.
///
/// # Errors
/// The ledger's own trouble.
pub async fn refused(ledger: &Ledger, name: &SinkName, holder: Uuid, pause: Duration) -> Result<(), StoreError> {
    ledger.query(REFUSED, &[&name.as_str(), &holder, &pause.as_secs_f64()]).await.map(drop)
}

const RELEASE: &str = "-- sinks::release
    UPDATE audit_sinks SET holder = NULL, held_until = NULL WHERE name = $1 AND holder = $2";

/// Lets others deliver at once.
///
/// # Errors
/// The ledger's own trouble.
pub async fn release(ledger: &Ledger, name: &SinkName, holder: Uuid) -> Result<(), StoreError> {
    ledger.query(RELEASE, &[&name.as_str(), &holder]).await.map(drop)
}

const GAUGES: &str = "-- sinks::gauges
    SELECT s.name, s.delivered_at,
        CASE WHEN w.events THEN greatest(0, (SELECT coalesce(max(l.seq), 0) FROM audit_links l) - s.event) ELSE 0 END
        + CASE WHEN w.checkpoints THEN (SELECT count(*) FROM audit_checkpoints c
                                        WHERE (c.size, c.epoch) > (s.size, s.epoch)) ELSE 0 END AS waiting
    FROM unnest($1::text[], $2::bool[], $3::bool[]) AS w (name, events, checkpoints)
    JOIN audit_sinks s ON s.name = w.name";

/// How these sinks stand.
///
/// # Errors
/// The ledger's own trouble.
pub async fn gauges(ledger: &Ledger, sinks: &[(SinkName, Content)]) -> Result<Vec<SinkStatus>, StoreError> {
    if sinks.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = sinks.iter().map(|(name, _)| name.as_str()).collect();
    let events: Vec<bool> = sinks.iter().map(|(_, content)| content.events()).collect();
    let checkpoints: Vec<bool> = sinks.iter().map(|(_, content)| content.checkpoints()).collect();
    let gauge = |row: &Row| {
        let row = Reader::new(row, "audit sink");
        Ok(SinkStatus { name: row.get("name")?, waiting: row.get("waiting")?, delivered_at: row.get("delivered_at")? })
    };
    ledger.query(GAUGES, &[&names, &events, &checkpoints]).await?.iter().map(gauge).collect()
}
