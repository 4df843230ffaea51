//! What the ledger holds.

use super::Eye;
use crate::evidence::{Books, LedgerSight, SessionSight};
use gk_shared::ids::SessionId;
use std::time::Duration;
use tokio_postgres::Row;
use uuid::Uuid;

const COLUMNS: &str =
    "s.id, session_status(s), s.desired = 'present', s.end_reason, s.ready_at IS NOT NULL, s.expires_at,
       s.cut_at IS NOT NULL, s.ended_at IS NOT NULL";

/// Everything that lives, and what ended less than a minute ago.
pub async fn ledger_sight(eye: &mut Eye) -> Option<LedgerSight> {
    let sql = format!(
        "-- sight::ledger\nSELECT {COLUMNS}, (SELECT coalesce(max(seq), 0) FROM audit_links)
           FROM (SELECT 1) one LEFT JOIN sessions s
             ON s.ended_at IS NULL OR s.ended_at > clock_timestamp() - interval '60 seconds'"
    );
    let rows = eye.ask(&sql).await?;
    let links = rows.first()?.get(8);
    let sessions = rows.iter().filter(|row| row.get::<_, Option<Uuid>>(0).is_some()).map(session).collect();
    Some(LedgerSight { sessions, links })
}

fn session(row: &Row) -> (SessionId, SessionSight) {
    let seen = SessionSight {
        status: row.get(1),
        wanted: row.get(2),
        end_reason: row.get(3),
        ready: row.get(4),
        expires_at: row.get(5),
        cut: row.get(6),
        ended: row.get(7),
    };
    (SessionId::from_uuid(row.get(0)), seen)
}

/// The whole ledger at one moment; none if it does not answer.
pub async fn books(eye: &mut Eye, asked_at: Duration, at_rest: bool) -> Option<Books> {
    if !eye.run("-- sight::books begin\nBEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await {
        return None;
    }
    let read = read_books(eye).await;
    let done = eye.run("-- sight::books end\nCOMMIT").await;
    read.filter(|_| done).map(|read| Books { asked_at, at_rest, ..read })
}

async fn read_books(eye: &mut Eye) -> Option<Books> {
    let sessions = eye.ask(&format!("-- sight::books sessions\nSELECT {COLUMNS} FROM sessions s")).await?;
    let keys = eye.ask("-- sight::books keys\nSELECT key, session_id FROM idempotency_keys").await?;
    let events = "-- sight::books events\nSELECT object, action, count(*) FROM audit_events
                   WHERE action LIKE 'session.%' GROUP BY 1, 2";
    let events = eye.ask(events).await?;
    let log = "-- sight::books log\nSELECT (SELECT count(*) FROM audit_events), (SELECT coalesce(max(seq), 0) FROM audit_links)";
    let log = eye.ask(log).await?;
    let event = |row: &Row| {
        let id: SessionId = row.get::<_, &str>(0).parse().ok()?;
        Some(((id, row.get(1)), row.get(2)))
    };
    Some(Books {
        keys: keys.iter().map(|row| (row.get(0), SessionId::from_uuid(row.get(1)))).collect(),
        sessions: sessions.iter().map(session).collect(),
        events: events.iter().filter_map(event).collect(),
        events_and_links: (log[0].get(0), log[0].get(1)),
        ..Books::default()
    })
}
