//! F36: whoever owns the ledger changes its log while it is written, or an export of it. What they change is found each time,
//! by a party other than the server, and nothing is found when they change nothing.

use super::Hits;
use crate::stage::Stage;
use gk_e2e::eventually;
use rand::RngExt as _;
use rand::rngs::StdRng;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Client;

const FOUND: i32 = 10;
const PATIENCE: Duration = Duration::from_secs(20);
/// Events that there have to be, so that there is something to tamper with.
const EVENTS: i64 = 30;

/// A change of the log in the ledger, and how it is undone. `$1` is a place in the log.
struct Attack {
    name: &'static str,
    done: &'static str,
    undone: &'static str,
}

const ATTACKS: [Attack; 3] = [
    Attack {
        name: "an event was edited",
        done: "CREATE TABLE kept AS SELECT e.* FROM audit_events e JOIN audit_links l ON l.event_id = e.id WHERE l.seq = $1;
               UPDATE audit_events e SET canonical = f.text, leaf = sha256('\\x00'::bytea || convert_to(f.text, 'UTF8'))
                 FROM (SELECT id, regexp_replace(canonical, '\"actor\":\"[^\"]*\"', '\"actor\":\"mallory\"') AS text FROM kept) f
                WHERE e.id = f.id;",
        undone: "UPDATE audit_events e SET canonical = k.canonical, leaf = k.leaf FROM kept k WHERE e.id = k.id;",
    },
    Attack {
        name: "a link was taken out",
        done: "CREATE TABLE kept AS SELECT * FROM audit_links WHERE seq = $1;
               DELETE FROM audit_links WHERE seq = $1;",
        undone: "INSERT INTO audit_links SELECT * FROM kept;",
    },
    Attack {
        name: "two events changed places",
        done: "CREATE TABLE kept AS SELECT * FROM audit_links WHERE seq IN ($1, $1 + 1);
               UPDATE audit_links SET event_id = gen_random_uuid() WHERE seq = $1;
               UPDATE audit_links l SET event_id = k.event_id FROM kept k WHERE l.seq = $1 + 1 AND k.seq = $1;
               UPDATE audit_links l SET event_id = k.event_id FROM kept k WHERE l.seq = $1 AND k.seq = $1 + 1;",
        undone: "UPDATE audit_links SET event_id = gen_random_uuid() WHERE seq IN ($1, $1 + 1);
                 UPDATE audit_links l SET event_id = k.event_id FROM kept k WHERE l.seq = k.seq;",
    },
];

/// A change of the lines of an export.
type Edit = fn(&mut Vec<String>, usize);
const EDITS: [(&str, Edit); 5] = [
    ("a line was taken out", |lines, at| drop(lines.remove(at))),
    ("a line was repeated", |lines, at| lines.insert(at, lines[at].clone())),
    ("two lines changed places", |lines, at| lines.swap(at, at + 1)),
    ("the end was cut off", |lines, _| lines.truncate(lines.len() / 2)),
    ("a letter was changed", |lines, at| lines[at] = lines[at].replace("session.", "sessiom.")),
];

/// F36.
pub(super) async fn log(stage: &mut Stage, random: &mut StdRng) -> Hits {
    let plane = &stage.stack.plane;
    let superuser = plane.ledger.superuser(plane.database()).await;
    let size = grown(&superuser).await;
    let mut found = 0;
    for attack in &ATTACKS {
        found += u64::from(attacked(stage, &superuser, attack, random.random_range(2..size - 2)).await);
    }
    let exports = exports(stage, random).await;
    let all = if found == ATTACKS.len() as u64 && exports == EDITS.len() as u64 { found + exports } else { 0 };
    Hits::of(all, "changes of the log made and found")
}

/// How long the log is, once it is long enough.
async fn grown(superuser: &Client) -> i64 {
    let size = async || -> i64 {
        let row = superuser.query_one("-- tamper::size\nSELECT coalesce(max(seq), 0) FROM audit_links", &[]).await;
        row.map_or(0, |row| row.get(0))
    };
    eventually(PATIENCE, "the log has some events", async || if size().await > EVENTS { Ok(()) } else { Err("few") })
        .await;
    size().await
}

/// Whether it was found while it was there, and nothing once it was undone.
async fn attacked(stage: &Stage, superuser: &Client, attack: &Attack, place: i64) -> bool {
    let run = |sql: &str| {
        let sql = unlocked(&sql.replace("$1", &place.to_string()));
        async move { superuser.batch_execute(&sql).await }
    };
    let done = run(attack.done).await;
    let code = stage.stack.gk_admin(&["audit", "verify"]).await.code;
    if let Err(error) = done {
        panic!("{}: {error}", attack.name);
    }
    run(&format!("{} DROP TABLE kept;", attack.undone))
        .await
        .unwrap_or_else(|error| panic!("{} undone: {error}", attack.name));
    let after = stage.stack.gk_admin(&["audit", "verify"]).await;
    assert_eq!(after.code, 0, "{} at {place} was undone: {after:?}", attack.name);
    code == FOUND
}

/// In one transaction, with the triggers off that refuse it.
fn unlocked(sql: &str) -> String {
    let switch = |how: &str| {
        let of = |table: &str| format!("ALTER TABLE {table} {how} TRIGGER {table}_stay;");
        of("audit_events") + &of("audit_links")
    };
    format!("BEGIN; {} {sql} {} COMMIT;", switch("DISABLE"), switch("ENABLE ALWAYS"))
}

/// How many changes of an export are found. One that was not changed is right.
async fn exports(stage: &Stage, random: &mut StdRng) -> u64 {
    let file = "tortured.ndjson";
    stage.stack.gk_admin(&["audit", "export", "--out", file]).await.ok();
    let text = stage.stack.room.read(file);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(verify(stage, &lines).await, 0, "nothing was changed");
    let mut found = 0;
    for (name, edit) in EDITS {
        let mut changed = lines.clone();
        // Among the events, which come first.
        edit(&mut changed, random.random_range(1..lines.len() / 2));
        let code = verify(stage, &changed).await;
        assert!(code == 0 || code == FOUND, "{name}: exit {code}");
        found += u64::from(code == FOUND);
    }
    drop(std::fs::remove_file(stage.stack.room.path(file)));
    found
}

/// Against what the agent has seen of the log.
async fn verify(stage: &Stage, lines: &[String]) -> i32 {
    stage.stack.room.write("tampered.ndjson", &(lines.join("\n") + "\n"));
    let witness: PathBuf = stage.stack.room.path("agent-a-state/audit-checkpoint.json");
    let witness = witness.to_string_lossy();
    stage.stack.gk_admin(&["audit", "verify", "tampered.ndjson", "--from-witness", &witness]).await.code
}
