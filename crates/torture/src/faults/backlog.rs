//! F39: a control plane that starts after a long night: thousands of sessions have run out and nobody has ended them.

use super::Hits;
use crate::part::Part;
use crate::sight::Eye;
use crate::stage::Stage;
use gk_shared::ids::{EventId, SessionId};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Row};

/// For the last of them, beside the time for each.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// A session that came to be, with its requests and events, to be written down again under other names.
const PATTERN: &str = "-- backlog::pattern
    SELECT s.id, array_agg(e.canonical) FROM sessions s JOIN audit_events e ON e.action IN ('session.requested', 'session.created')
     WHERE s.ended_at IS NOT NULL AND s.ready_at IS NOT NULL AND e.object = $1 AND s.id = $2 GROUP BY s.id";
const CANDIDATES: &str = "-- backlog::candidates
    SELECT id FROM sessions WHERE ended_at IS NOT NULL AND ready_at IS NOT NULL AND end_reason <> 'failed' LIMIT 1";
const SESSIONS: &str = "-- backlog::sessions
    INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object('id', n.id, 'desired', 'present', 'generation', 2,
        'observed', 'armed', 'observed_generation', 2, 'ready_at', now() - interval '1 hour', 'sealed_credential', 'none',
        'expires_at', now() - interval '1 minute', 'end_reason', NULL, 'ended_by', NULL, 'end_wanted_at', NULL, 'cut_at', NULL,
        'ended_at', NULL, 'blocked', NULL, 'error', NULL, 'resurrected_generation', NULL, 'end_unlogged', false))).*
      FROM sessions s, unnest($2::uuid[]) n (id) WHERE s.id = $1";
const KEYS: &str = "-- backlog::keys
    INSERT INTO idempotency_keys SELECT (jsonb_populate_record(k,
        jsonb_build_object('key', 'backlog-' || n.id, 'session_id', n.id))).*
      FROM idempotency_keys k, unnest($2::uuid[]) n (id) WHERE k.session_id = $1";
const EVENTS: &str = "-- backlog::events
    INSERT INTO audit_events (id, tenant_id, canonical, leaf)
    SELECT n.id, t.id, n.text, sha256('\\x00'::bytea || convert_to(n.text, 'UTF8'))
      FROM unnest($1::uuid[], $2::text[]) n (id, text), (SELECT tenant_id AS id FROM audit_events LIMIT 1) t";
const LEFT: &str = "-- backlog::left\nSELECT count(*) FROM sessions s JOIN idempotency_keys k ON k.session_id = s.id
     WHERE k.key LIKE 'backlog-%' AND s.ended_at IS NULL";

/// F39. They are written into the ledger while the control plane is down, each with a whole past, and all of them must end.
pub(super) async fn at_boot(stage: &mut Stage, random: &mut StdRng) -> Hits {
    let count: u32 = stage.options.dose.pick(1_000, 5_000);
    let out = stage.out(&[Part::Plane]);
    stage.stack.plane.process.kill9();
    let database = stage.stack.plane.database();
    let ledger = stage.stack.plane.ledger.superuser(database).await;
    let written = write_down(&ledger, count, random).await;
    stage.stack.plane.process.start();
    let first = first_answer(stage).await;
    drop(out);
    let left = all_over(&mut stage.ledger_eye(), count).await;
    let over = if left == 0 { written } else { 0 };
    Hits {
        count: over,
        proof: format!("{written} sessions overdue at start, first answer after {first:?}, {left} left"),
    }
}

/// None if no session of this stage has a past yet.
async fn write_down(ledger: &Client, count: u32, random: &mut StdRng) -> u64 {
    let Some(found) = ledger.query_opt(CANDIDATES, &[]).await.expect("the ledger answers") else { return 0 };
    let old = SessionId::from_uuid(found.get(0));
    let pattern = ledger.query_one(PATTERN, &[&old.to_string(), &old.uuid()]).await.expect("it has events");
    let sessions: Vec<SessionId> = (0..count).map(|_| SessionId::from_uuid(fresh(random))).collect();
    let ids: Vec<uuid::Uuid> = sessions.iter().map(SessionId::uuid).collect();
    let (event_ids, texts) = events(&pattern, old, &sessions, random);
    ledger.execute(SESSIONS, &[&old.uuid(), &ids]).await.expect("a superuser writes what fits");
    ledger.execute(KEYS, &[&old.uuid(), &ids]).await.expect("the keys are new");
    ledger.execute(EVENTS, &[&event_ids, &texts]).await.expect("events may be added");
    u64::from(count)
}

/// The pattern's events under each session's name, each with an id of its own.
fn events(row: &Row, old: SessionId, sessions: &[SessionId], random: &mut StdRng) -> (Vec<uuid::Uuid>, Vec<String>) {
    let (canonical, old): (Vec<String>, String) = (row.get(1), old.to_string());
    let each = sessions.iter().flat_map(|session| canonical.iter().map(move |text| (session, text)));
    let made = each.map(|(session, text)| {
        let id = EventId::from_uuid(fresh(random));
        let text = text.replace(&old, &session.to_string());
        let own = text.find("\"evt_").map_or("", |at| &text[at + 1..at + 1 + id.to_string().len()]).to_owned();
        (id.uuid(), if own.is_empty() { text } else { text.replace(&own, &id.to_string()) })
    });
    made.unzip()
}

/// Any number will do, as long as it is new.
fn fresh(random: &mut StdRng) -> uuid::Uuid {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    // Ids start with a time; these are from long ago.
    bytes[..6].copy_from_slice(&[1, 0x8b, 0, 0, random.random(), random.random()]);
    uuid::Uuid::from_bytes(bytes)
}

async fn first_answer(stage: &Stage) -> Duration {
    let (admin, begun) = (stage.stack.plane.as_admin(), Instant::now());
    while begun.elapsed() < PATIENCE {
        if admin.get("/v1/sessions?limit=1").await.is_ok_and(|answer| answer.is_success()) {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    begun.elapsed()
}

/// How many are left when they should all be over.
async fn all_over(eye: &mut Eye, count: u32) -> i64 {
    let (begun, patience) = (Instant::now(), PATIENCE + Duration::from_millis(40) * count);
    let mut left = i64::from(count);
    while left > 0 && begun.elapsed() < patience {
        tokio::time::sleep(Duration::from_millis(500)).await;
        left = eye.ask(LEFT).await.map_or(left, |rows| rows[0].get(0));
    }
    left
}
