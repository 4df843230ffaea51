//! F4, F17: a target that answers before it has written, and one whose backend stands still.

use super::Hits;
use super::held::Held;
use super::pauses::is_stopped;
use crate::part::Part;
use crate::sight::ledger_sight;
use crate::stage::Stage;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Waits between two writes of what was acknowledged already, so that a kill finds something to undo.
const LAZY: &str = "-- backends::lazy\nALTER SYSTEM SET wal_writer_delay = '10s'";
const FORCED: &str = "ALTER ROLE gk_agent SET synchronous_commit = off";

/// F4. The target answers `COMMIT` before it has written, for everybody who does not insist; and is killed. What shows that
/// it was so is a table of somebody who did not insist, which is gone.
pub(super) async fn asynchronous(stage: &mut Stage, random: &mut StdRng) -> Hits {
    let mut hand = stage.target_hand();
    let set = hand.run(LAZY).await && hand.run("SELECT pg_reload_conf()").await && hand.run(FORCED).await;
    // The agent's next connections find it.
    stage.wires.agent_target.reset();
    let mut undone = 0_u32;
    for number in 0..stage.options.dose.pick(3, 12) {
        tokio::time::sleep(Duration::from_millis(random.random_range(1500..3000))).await;
        undone += u32::from(kill_after_commit(stage, number).await);
    }
    hand.run("ALTER ROLE gk_agent RESET synchronous_commit").await;
    hand.run("ALTER SYSTEM RESET wal_writer_delay").await;
    hand.run("SELECT pg_reload_conf()").await;
    Hits::of(if set { undone } else { 0 }, "kills that undid a commit of somebody who did not insist")
}

async fn kill_after_commit(stage: &mut Stage, number: u32) -> bool {
    let mut hand = stage.target_hand();
    let lazy = format!("SET synchronous_commit = off; CREATE TABLE lazy_{number}_{} (a int)", rand::random::<u32>());
    let name = lazy.split_whitespace().nth(6).unwrap_or_default().to_owned();
    let acknowledged = hand.run(&lazy).await;
    let _out = stage.out(&[Part::Target]);
    stage.stack.target.kill9();
    stage.stack.target.start_again().await;
    let gone = format!("-- backends::lazy\nSELECT to_regclass('{name}') IS NULL");
    let gone = hand.ask(&gone).await.or(hand.ask(&gone).await);
    acknowledged && gone.is_some_and(|rows| rows[0].get(0))
}

/// F17. A backend that hears no signal: as long as it is there its session is not said to be cut; once it goes on it is.
pub(super) async fn stopped(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let Some(held) = Held::take(stage, 120).await else { return Hits::of(0, "sessions to stop") };
    let sql = "-- backends::pid\nSELECT pg_backend_pid()";
    let pid: Option<i32> = held.user.client.query_one(sql, &[]).await.ok().map(|row| row.get(0));
    let Some(pid) = pid.and_then(Pid::from_raw) else { return Hits::of(0, "backends to stop") };
    let looks = {
        // Nobody can end it: the bounds for connections do not count meanwhile, the word of the ledger does.
        let _out = stage.out(&[Part::Target]);
        let _stopped = Stopped::now(pid);
        let revoked = held.caller.revoke(held.session, Duration::from_secs(20)).await;
        let looks = looks_while_stopped(stage, &held, pid).await;
        if revoked { looks } else { 0 }
    };
    let cut = held.is_cut_within(Duration::from_secs(30)).await;
    let seen = Hits::of(looks, "looks at a stopped backend whose session is being revoked");
    seen.and(&Hits::of(u64::from(cut), "backend gone as soon as it went on"))
}

/// How often the session was seen on its way out while its backend stood still. The judge hears of any other word.
async fn looks_while_stopped(stage: &Stage, held: &Held, pid: Pid) -> u64 {
    let time = Duration::from_secs(stage.options.dose.pick(6, 40));
    let (mut eye, begun, mut looks) = (stage.ledger_eye(), Instant::now(), 0);
    while begun.elapsed() < time {
        let sight = ledger_sight(&mut eye).await.unwrap_or_default();
        let revoking = sight.sessions.get(&held.session).is_some_and(|session| !session.wanted && !session.cut);
        looks += u64::from(revoking && is_stopped(pid));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    looks
}

/// A process that stands still for as long as this lives.
struct Stopped(Pid);

impl Stopped {
    fn now(pid: Pid) -> Self {
        // One that is gone already is not seen stopped, and the fault not hit.
        let _ = kill_process(pid, Signal::STOP);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}
