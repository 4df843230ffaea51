//! F32, F33: a DBA who changes our roles behind our back, and a user who does all he can to stay.

use super::Hits;
use crate::sight::Eye;
use crate::stage::Stage;
use crate::workload::{Caller, Wish};
use gk_e2e::User;
use gk_shared::ids::SessionId;
use gk_shared::names::RoleName;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

async fn session(stage: &Stage, caller: &Caller, what: &str, ttl: u32) -> Option<(SessionId, String)> {
    let wish = Wish { key: format!("{what}-{}", stage.bench.now().as_millis()), role: "app_write", ttl };
    let session = caller.ask_until(&wish, PATIENCE).await?;
    Some((session, caller.credential(session, PATIENCE).await?))
}

/// F32. Drops one role, renames one, puts a stranger in the place of one, and takes the name of one that is over.
pub(super) async fn dba(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let (caller, mut hand, mut done) = (stage.caller(), stage.target_hand(), 0_u32);
    let mut strangers = Vec::new();
    for what in ["dba-drops", "dba-renames", "dba-replaces", "dba-takes-the-name"] {
        let Some((session, _)) = session(stage, &caller, what, 60).await else { continue };
        let role = RoleName::of(session);
        let sql = match what {
            "dba-drops" => format!("DROP ROLE {role}"),
            "dba-renames" => format!("ALTER ROLE {role} RENAME TO renamed_{role}"),
            "dba-replaces" => format!("DROP ROLE {role}; CREATE ROLE {role} LOGIN"),
            _ => {
                caller.revoke(session, PATIENCE).await;
                is_gone(&mut hand, role.as_ref()).await;
                format!("CREATE ROLE {role} LOGIN")
            }
        };
        done += u32::from(hand.run(&sql).await);
        strangers.push((role.to_string(), what));
        caller.revoke(session, PATIENCE).await;
    }
    // Past a look of the reconcile loop: a stranger's role is never touched.
    tokio::time::sleep(Duration::from_secs(stage.options.dose.pick(6, 12))).await;
    let untouched = clear(&mut hand, &strangers).await;
    Hits::of(done, "roles changed behind our back").and(&Hits::of(untouched, "strangers untouched"))
}

async fn is_gone(hand: &mut Eye, role: &str) {
    let (sql, begun) = (format!("-- faults::gone\nSELECT 1 FROM pg_roles WHERE rolname = '{role}'"), Instant::now());
    while hand.ask(&sql).await.is_none_or(|rows| !rows.is_empty()) && begun.elapsed() < PATIENCE {
        tokio::time::sleep(POLL).await;
    }
}

/// What the DBA made goes by his own hand; how many of the strangers were still there.
async fn clear(hand: &mut Eye, roles: &[(String, &str)]) -> u32 {
    let mut untouched = 0;
    for (role, what) in roles {
        match *what {
            "dba-renames" => drop(hand.run(&format!("DROP ROLE IF EXISTS renamed_{role}")).await),
            "dba-replaces" | "dba-takes-the-name" => {
                untouched += u32::from(hand.run(&format!("DROP ROLE {role}")).await);
            }
            _ => {}
        }
    }
    untouched
}

/// F33. A prepared transaction, a lock on his own role, a large object, tables, and a storm of connections.
pub(super) async fn user(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let caller = stage.caller();
    let Some((session, dsn)) = session(stage, &caller, "user-fights", 60).await else {
        return Hits::of(0_u32, "sessions");
    };
    let gid = format!("his-{session}");
    let mut done = 0_u32;
    let mut users = Vec::new();
    for sql in [
        format!("BEGIN; CREATE TABLE hidden_{} (a int); PREPARE TRANSACTION '{gid}'", stage.bench.now().as_millis()),
        "BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'a password of his own'".to_owned(),
        "SELECT lo_create(0)".to_owned(),
        "BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE".to_owned(),
    ] {
        if let Ok(user) = User::login(&dsn).await {
            done += u32::from(user.client.batch_execute(&sql).await.is_ok());
            users.push(user);
        }
    }
    caller.revoke(session, PATIENCE).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(stage.options.dose.pick(4, 12)) {
        drop(stage.bench.login(session, &dsn).await);
        tokio::time::sleep(POLL).await;
    }
    let cut = users.iter().filter(|user| user.is_cut()).count();
    stage.target_hand().run(&format!("ROLLBACK PREPARED '{gid}'")).await;
    Hits::of(done, "ways to stay").and(&Hits::of(cut, "connections cut"))
}
