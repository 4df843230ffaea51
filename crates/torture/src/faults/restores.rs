//! F28–F30: servers that come back as they were earlier: from a backup, or as a standby that had fallen behind.

use super::Hits;
use super::held::Held;
use crate::evidence::{Evidence, Restored};
use crate::part::Part;
use crate::stage::Stage;
use crate::workload::Wish;
use gk_e2e::{TestPg, eventually};
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Armed roles of our pattern.
const ARMED: &str = "-- restores::armed\nSELECT count(*) FROM pg_roles
    WHERE rolname ~ '^gk_[0-9a-hjkmnp-tv-z]{26}$' AND rolcanlogin AND rolvaliduntil > clock_timestamp()";

/// Until something has ended that a backup still has.
async fn life_goes_on(stage: &Stage) {
    tokio::time::sleep(Duration::from_secs(stage.options.dose.pick(4, 10))).await;
}

/// Tells the judge when no look can lie on both sides any more: the server is down, and two looks have seen it.
async fn tell(stage: &Stage, restored: Restored) {
    let before = stage.bench.tally.now().looks;
    let looked = || stage.bench.tally.now().looks >= before + 2;
    eventually(PATIENCE, "the oracle looks", async || if looked() { Ok(()) } else { Err("not yet") }).await;
    stage.bench.court.hear(&Evidence::Restored(restored));
}

/// Sessions that were revoked after the backup was made, and before: their roles come back, and must not stay.
async fn resurrected(stage: &Stage) -> u64 {
    let mut hand = stage.target_hand();
    let begun = Instant::now();
    let mut most = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        let armed = hand.ask(ARMED).await.map_or(0, |rows| rows[0].get::<_, i64>(0));
        most = most.max(u64::try_from(armed).unwrap_or(0));
        tokio::time::sleep(POLL).await;
    }
    most
}

/// F28. The target comes back from a base backup that was made in mid-life, with logins that were revoked since.
pub(super) async fn target(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let held = held(stage, stage.options.dose.pick(2, 4)).await;
    let (backup, made) = (stage.stack.target.backup().await, stage.things.all());
    let cut = revoke_all(&held).await;
    life_goes_on(stage).await;
    let out = stage.out(&[Part::Target]);
    stage.stack.target.kill9();
    tell(stage, Restored::Target).await;
    stage.things.set_back_to(made);
    stage.stack.target.restore(&backup).await;
    drop(out);
    came_back(stage, cut).await
}

/// Logins that last long enough for a backup to catch them.
async fn held(stage: &Stage, count: u32) -> Vec<Held> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.extend(Held::take(stage, 300).await);
    }
    all
}

async fn revoke_all(held: &[Held]) -> u64 {
    let mut cut = 0;
    for one in held {
        cut += u64::from(one.is_revoked_and_cut(PATIENCE).await);
    }
    cut
}

async fn came_back(stage: &Stage, cut: u64) -> Hits {
    let back = resurrected(stage).await;
    Hits::of(cut, "sessions revoked after the backup").and(&Hits::of(back, "logins that came back with it"))
}

/// F30. The primary is lost, and a standby takes over that has not heard of the last revokes. (It takes over the address with
/// what it has, as behind a name that moves.)
pub(super) async fn promoted(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let standby = stage.stack.target.standby().await;
    let held = held(stage, stage.options.dose.pick(2, 4)).await;
    stage.stack.target.followed_by(&standby).await;
    let made = stage.things.all();
    standby.stop_following().await;
    let cut = revoke_all(&held).await;
    life_goes_on(stage).await;
    let out = stage.out(&[Part::Target]);
    stage.stack.target.kill9();
    tell(stage, Restored::Target).await;
    stage.things.set_back_to(made);
    take_over(&mut stage.stack.target, standby).await;
    drop(out);
    came_back(stage, cut).await
}

async fn take_over(lost: &mut TestPg, standby: TestPg) {
    standby.promote().await;
    let what_it_has = standby.backup().await;
    drop(standby);
    lost.restore(&what_it_has).await;
}

/// F29. The ledger comes back as it was earlier. It ends nothing that it does not know, and gives nothing until somebody has
/// said that the log may be shorter: here the steps of the runbook.
pub(super) async fn ledger(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let backup = stage.stack.plane.ledger.backup().await;
    life_goes_on(stage).await;
    // An export signs where the log stands now, so that somebody has seen what will be forgotten.
    stage.stack.gk_admin(&["audit", "export", "--out", "seen.ndjson"]).await.ok();
    // A client would be told that its session does not exist, which is right and none of the judge's answers.
    stage.end_work().await;
    let forgotten = forgotten(stage).await;
    let out = stage.out(&[Part::Ledger, Part::Plane]);
    stage.stack.plane.process.kill9();
    stage.stack.plane.ledger.kill9();
    tell(stage, Restored::Ledger).await;
    stage.stack.plane.ledger.restore(&backup).await;
    stage.stack.plane.process.start();
    let refused = refused(stage).await;
    let left_alone = forgotten.iter().filter(|held| !held.user.is_cut()).count();
    forget_what_was_seen(stage).await;
    drop(out);
    let hits = Hits::of(refused, "sessions refused because the log went back");
    hits.and(&Hits::of(left_alone, "sessions unknown to the ledger and left to their own end"))
}

/// Sessions that the restored ledger will know nothing of.
async fn forgotten(stage: &Stage) -> Vec<Held> {
    let mut all = Vec::new();
    for _ in 0..3 {
        all.extend(Held::take(stage, 45).await);
    }
    all
}

/// How often a session is refused because the log went back, until it was a few times.
async fn refused(stage: &Stage) -> u64 {
    let (caller, begun, mut refused) = (stage.caller(), Instant::now(), 0);
    while begun.elapsed() < PATIENCE && refused < 3 {
        let wish = Wish { key: format!("log-went-back-{}", rand::random::<u64>()), role: "app_read", ttl: 10 };
        let code = caller.refusal(&wish).await;
        refused += u64::from(matches!(code.as_deref(), Some("audit_regression" | "ledger_restored")));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    refused
}

/// What the runbook has the operator do after a restore of the ledger.
async fn forget_what_was_seen(stage: &mut Stage) {
    stage.stack.agent().kill9();
    stage.stack.plane.process.kill9();
    let room = &stage.stack.room;
    for file in ["checkpoints.ndjson", "agent-a-state/audit-checkpoint.json"] {
        // One that was not written yet need not be moved aside.
        drop(std::fs::remove_file(room.path(file)));
    }
    drop(std::fs::remove_dir_all(room.path("gk-state/heads")));
    stage.stack.agent().start();
    stage.stack.plane.process.start();
    stage.stack.plane.answers().await;
    accept(stage).await;
}

/// Says that what is gone is gone, as often as somebody finds more of it.
async fn accept(stage: &Stage) {
    let (caller, admin, begun) = (stage.caller(), stage.stack.plane.as_admin(), Instant::now());
    while begun.elapsed() < PATIENCE {
        let wish = Wish { key: format!("accepted-{}", rand::random::<u64>()), role: "app_read", ttl: 10 };
        match caller.refusal(&wish).await.as_deref() {
            None => return,
            Some("ledger_restored") => {
                let said = serde_json::json!({ "reason": "restored on purpose", "endUnknown": false });
                // What it came to shows at the next try.
                drop(admin.post("/v1/recovery/accept", &said).await);
            }
            Some(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
