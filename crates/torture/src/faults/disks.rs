//! F20, F21, F23: disks that are full, and one that takes nothing more.

use super::Hits;
use super::held::Held;
use crate::disk::SmallDisk;
use crate::part::Part;
use crate::stage::Stage;
use crate::volume::Volume;
use crate::workload::Wish;
use gk_e2e::TestPg;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

/// Room for crash recovery and what a run writes in passing, in megabytes.
const SPARE: u64 = 48;
/// Of the disk that holds the audit log alone.
const LOG_DISK: u64 = 32;
/// A server that neither serves nor gives up for so long is started anew.
const RECOVERY: Duration = Duration::from_secs(60);
/// The longest that a cut may take on a server without space: it may go through a crash of that server.
const CUT: Duration = Duration::from_secs(20);

/// F20. Sessions cannot be made; those that are there are cut all the same, and none gets longer.
pub(super) async fn target(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let disk = moved(stage).await;
    let held = Held::take(stage, 60).await;
    let before = without_space(&stage.stack.target);
    let cut = {
        let _out = stage.out(&[Part::Target]);
        let cut = while_full(stage, &disk, held.as_ref()).await;
        disk.free();
        revive(&mut stage.stack.target).await;
        cut
    };
    let without = without_space(&stage.stack.target) - before;
    let _out = stage.out(&[Part::Target]);
    disk.leave(&mut stage.stack.target).await;
    Hits::of(without, "times that the target had no space").and(&Hits::of(u64::from(cut), "connection cut meanwhile"))
}

async fn moved(stage: &mut Stage) -> SmallDisk {
    let _out = stage.out(&[Part::Target]);
    SmallDisk::under(&mut stage.stack.target, SPARE).await
}

/// Fills the disk over and over, because a server finds a little here and there; in the middle of it somebody is revoked.
async fn while_full(stage: &mut Stage, disk: &SmallDisk, held: Option<&Held>) -> bool {
    let time = Duration::from_secs(stage.options.dose.pick(8, 30));
    let begun = Instant::now();
    disk.fill();
    let mut hand = stage.target_hand();
    // So that something needs space even if nobody else does.
    hand.run(
        "-- disks::grow\nCREATE TABLE IF NOT EXISTS grown AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)",
    )
    .await;
    let cut = match held {
        Some(held) => held.is_revoked_and_cut(CUT).await,
        None => false,
    };
    while begun.elapsed() < time {
        disk.fill();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    cut
}

/// How often a server said that its disk is full.
fn without_space(server: &TestPg) -> usize {
    server.log_text().matches("No space left on device").count()
}

/// Waits until the server serves again, and starts it if it gives up, as the supervisor of a real one does: after a
/// failed recovery that may be a while after what made it fail.
pub(super) async fn revive(server: &mut TestPg) {
    let begun = Instant::now();
    while !is_gone(server) && begun.elapsed() < RECOVERY {
        if serves(server).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.kill9();
    server.start_again().await;
}

fn is_gone(server: &TestPg) -> bool {
    let stat = server.pid().map(|pid| std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())));
    stat.is_none_or(|stat| stat.map_or(true, |stat| stat.contains(") Z ")))
}

async fn serves(server: &TestPg) -> bool {
    let answer = async {
        let client = server.connect(server.superuser_name(), server.superuser_password(), "postgres").await?;
        client.simple_query("-- disks::serves\nSELECT 1").await
    };
    tokio::time::timeout(Duration::from_secs(2), answer).await.is_ok_and(|answer| answer.is_ok())
}

/// F23. The ledger's disk breaks and is mounted for reading alone, while its server has every file open. Nobody who holds a
/// session keeps it for longer by that: its end comes by the target's clock.
pub(super) async fn read_only(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let _out = stage.out(&[Part::Ledger, Part::Plane]);
    let mut volume = Volume::under(&mut stage.stack.plane.ledger, SPARE).await;
    stage.supervise();
    stage.stack.plane.answers().await;
    let held = Held::take(stage, 10).await;
    volume.breaks();
    let (begun, time) = (Instant::now(), Duration::from_secs(stage.options.dose.pick(6, 20)));
    let mut looks = 0;
    while begun.elapsed() < time {
        looks += u64::from(volume.is_read_only());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let cut = match &held {
        Some(held) => held.is_cut_within(CUT).await,
        None => false,
    };
    volume.is_mended(&mut stage.stack.plane.ledger).await;
    volume.leave(&mut stage.stack.plane.ledger).await;
    stage.supervise();
    let hits = Hits::of(looks, "looks at a ledger's disk that the kernel has for reading alone");
    hits.and(&Hits::of(u64::from(cut), "connection cut meanwhile"))
}

/// F21. The log cannot be written: no session is given, and a revoke cuts as quickly as ever.
pub(super) async fn audit_log(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let at = stage.stack.plane.ledger.data_dir().with_file_name("log-disk");
    let disk = SmallDisk::mount(&at, LOG_DISK, &stage.stack.plane.ledger.data_dir());
    let place = format!("'{}'", at.display());
    move_log(stage, "log_disk", Some(&place)).await;
    let mut held = Vec::new();
    for _ in 0..stage.options.dose.pick(2, 5) {
        held.extend(Held::take(stage, 90).await);
    }
    disk.fill();
    let refused = refused_for_the_log(stage, &disk).await;
    let mut cut = 0;
    for one in &held {
        disk.fill();
        cut += u64::from(one.is_revoked_and_cut(Duration::from_secs(10)).await);
    }
    disk.free();
    move_log(stage, "pg_default", None).await;
    let all = if cut == held.len() as u64 { cut } else { 0 };
    Hits::of(refused, "sessions refused because the log is full").and(&Hits::of(all, "sessions cut meanwhile"))
}

/// Asks until a session is refused for the right reason, a few times.
async fn refused_for_the_log(stage: &Stage, disk: &SmallDisk) -> u64 {
    let caller = stage.caller();
    let (begun, time) = (Instant::now(), Duration::from_secs(stage.options.dose.pick(6, 20)));
    let mut refused = 0;
    while begun.elapsed() < time {
        disk.fill();
        let wish = Wish { key: format!("log-is-full-{}", rand::random::<u64>()), role: "app_read", ttl: 10 };
        refused += u64::from(caller.refusal(&wish).await.as_deref() == Some("audit_unavailable"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    refused
}

/// Puts the tables of the log and their indexes elsewhere.
async fn move_log(stage: &Stage, to: &str, make: Option<&str>) {
    let plane = &stage.stack.plane;
    let superuser = plane.ledger.superuser(plane.database()).await;
    if let Some(location) = make {
        let sql = format!("CREATE TABLESPACE {to} LOCATION {location}");
        superuser.batch_execute(&sql).await.expect("a superuser may, and the directory is its own");
    }
    let tables = "-- disks::log\nSELECT c.oid::regclass::text, c.relkind = 'r' FROM pg_class c
                   WHERE c.relkind IN ('r', 'i') AND (c.oid::regclass::text IN ('audit_events', 'audit_links')
                      OR c.oid IN (SELECT indexrelid FROM pg_index
                                    WHERE indrelid IN ('audit_events'::regclass, 'audit_links'::regclass)))";
    for row in superuser.query(tables, &[]).await.expect("the ledger has a log") {
        let (name, is_table): (String, bool) = (row.get(0), row.get(1));
        let what = if is_table { "TABLE" } else { "INDEX" };
        let sql = format!("ALTER {what} {name} SET TABLESPACE {to}");
        superuser.batch_execute(&sql).await.expect("there is room for what is there");
    }
    if make.is_none() {
        superuser.batch_execute("DROP TABLESPACE log_disk").await.expect("nothing is left on it");
    }
}
