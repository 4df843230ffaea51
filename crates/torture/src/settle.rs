//! After a fault: how long it takes until all is as it should be, and a look at everything then.

use crate::evidence::{Evidence, Object, Recovery, Search, Verified};
use crate::sight::{Eye, books, ledger_sight};
use crate::stage::Stage;
use crate::workload::Wish;
use gk_e2e::{Needle, in_dir, in_processes};
use gk_shared::ids::SessionId;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A lease, the backoff of an agent, and some.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);
/// Credentials that are tried, and searched for, when all is over: the newest.
const SAMPLE: usize = 60;
const SEARCHED: usize = 4;

/// Waits until a new session works and what was under way when the fault ended is done, and tells how long that took.
pub async fn recover(stage: &mut Stage, fault: &str) -> Recovery {
    recover_within(stage, fault, PATIENCE).await
}

/// The same, with less patience.
pub async fn recover_within(stage: &mut Stage, fault: &str, patience: Duration) -> Recovery {
    let begun = Instant::now();
    let mut eye = stage.ledger_eye();
    let pending = under_way(&mut eye).await;
    let mut tries = 0_u32;
    let took = loop {
        stage.supervise();
        tries += 1;
        let left = match (new_session_works(stage, fault, tries).await, still_under_way(&mut eye, &pending).await) {
            (Ok(()), Ok(())) => break Ok(begun.elapsed()),
            (Err(why), _) | (Ok(()), Err(why)) => why,
        };
        if begun.elapsed() > patience {
            break Err(left);
        }
        tokio::time::sleep(POLL).await;
    };
    let recovery = Recovery { fault: fault.to_owned(), took };
    stage.bench.court.hear(&Evidence::Recovery(recovery.clone()));
    recovery
}

/// Sessions that are neither as they are wanted nor over.
async fn under_way(eye: &mut Eye) -> BTreeSet<SessionId> {
    let sight = ledger_sight(eye).await.unwrap_or_default();
    let passing = |status: &str| matches!(status, "provisioning" | "revoking");
    sight.sessions.iter().filter(|(_, session)| passing(&session.status)).map(|(id, _)| *id).collect()
}

async fn still_under_way(eye: &mut Eye, pending: &BTreeSet<SessionId>) -> Result<(), String> {
    let now = under_way(eye).await;
    let left: Vec<_> = pending.intersection(&now).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("{} sessions hang, such as {}", left.len(), left[0])) }
}

/// Asked for, made, logged in with, revoked and refused.
async fn new_session_works(stage: &Stage, fault: &str, tries: u32) -> Result<(), String> {
    let caller = stage.caller();
    let number = stage.bench.now().as_millis();
    let wish = Wish { key: format!("settle-{fault}-{tries}-{number}"), role: "app_read", ttl: 60 };
    let short = Duration::from_secs(5);
    let session = caller.ask_until(&wish, short).await.ok_or("no session is given")?;
    let works = async {
        let dsn = caller.credential(session, short).await.ok_or("no credential comes")?;
        drop(stage.bench.login(session, &dsn).await.ok_or("the login does not work")?);
        Ok(dsn)
    };
    let works: Result<String, &str> = works.await;
    if !caller.revoke(session, short).await {
        return Err("it cannot be revoked".to_owned());
    }
    let dsn = works.map_err(str::to_owned)?;
    let begun = Instant::now();
    while begun.elapsed() < short {
        if gk_e2e::is_refused(&dsn).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err("a revoked session's login still works".to_owned())
}

/// A look at everything that is not looked at all the time.
pub async fn examine(stage: &mut Stage, at_rest: bool) {
    stage.read_logs();
    if let Some(books) = books(&mut stage.ledger_eye(), stage.bench.now(), at_rest).await {
        stage.bench.court.hear(&Evidence::Books(books));
    }
    let ran = stage.stack.gk_admin(&["audit", "verify"]).await;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    stage.bench.court.hear(&Evidence::Audit(Verified { code: ran.code, said }));
    look_for_things(stage).await;
}

async fn look_for_things(stage: &Stage) {
    let mut hand = stage.target_hand();
    for made in stage.things.all() {
        let sql = format!("-- settle::rows\nSELECT count(*) FROM {}", made.name);
        let rows = hand.ask(&sql).await;
        // A target that does not answer has not lost anything; one that has no such table has.
        if rows.is_none() && hand.ask("SELECT 1").await.is_none() {
            continue;
        }
        let found = rows.map(|rows| rows[0].get::<_, i64>(0));
        stage.bench.court.hear(&Evidence::Object(Object { name: made.name, rows: made.rows, found }));
    }
}

/// Waits until every session is over and no role is left; what is still there is told.
pub async fn come_to_rest(stage: &mut Stage) -> Result<Duration, String> {
    stage.end_work().await;
    let begun = Instant::now();
    let (mut ledger, mut target) = (stage.ledger_eye(), stage.target_eye());
    loop {
        stage.supervise();
        let live = ledger_sight(&mut ledger).await.map(|sight| {
            sight.sessions.values().filter(|session| !session.ended).map(|session| session.status.clone()).collect()
        });
        let live: Vec<String> = live.unwrap_or_else(|| vec!["the ledger does not answer".to_owned()]);
        let roles = target.look().await.map_or(1, |sight| sight.roles.values().filter(|role| role.marked).count());
        if live.is_empty() && roles == 0 {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{roles} roles and {} sessions are left: {live:?}", live.len()));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Every credential is refused now, and none of them is anywhere.
pub async fn nobody_gets_in(stage: &Stage) {
    let all = stage.bench.vault.all();
    for credential in all.iter().rev().take(SAMPLE) {
        drop(stage.bench.login(credential.session, &credential.dsn).await);
    }
    let secrets: Vec<_> = all.iter().rev().take(SEARCHED).filter_map(|credential| password(&credential.dsn)).collect();
    let found = secrets.iter().flat_map(|secret| places(stage, &Needle::new(secret))).collect();
    stage.bench.court.hear(&Evidence::Search(Search { secrets: secrets.len(), found }));
}

fn password(dsn: &str) -> Option<&str> {
    let (login, _) = dsn.split_once("://")?.1.rsplit_once('@')?;
    login.split_once(':').map(|(_, password)| password)
}

/// Where it must not be: what the programs wrote, both servers' files, every process's arguments and environment.
fn places(stage: &Stage, needle: &Needle) -> Vec<String> {
    let room = stage.stack.room.path("");
    let dirs = [room, stage.stack.plane.ledger.data_dir(), stage.stack.target.data_dir()];
    let written = dirs.iter().flat_map(|dir| in_dir(dir, needle));
    written.chain(in_processes(needle)).map(|place| place.0).collect()
}
