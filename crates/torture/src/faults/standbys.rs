//! F31: sessions on a hot standby: they are ended there, too, and none is called over before that is seen.

use super::Hits;
use super::held::Held;
use crate::part::Part;
use crate::sight::ledger_sight;
use crate::stage::Stage;
use gk_e2e::{TestPg, User};
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
const CONFIG: &str = "agent-a.toml";

/// F31. First on a standby that follows, then on one that has stopped to replay: there the end has to wait.
pub(super) async fn sessions(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let standby = stage.stack.target.standby().await;
    let before = know(stage, &standby);
    let cut = cut_there(stage, &standby).await;
    let waited = waited_for(stage, &standby).await;
    set(stage, &before);
    drop(standby);
    let slots =
        "-- standbys::slots\nSELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active";
    stage.target_hand().ask(slots).await;
    cut.and(&waited)
}

/// Lets the agent know of the standby; gives its settings from before.
fn know(stage: &mut Stage, standby: &TestPg) -> String {
    let before = stage.stack.room.read(CONFIG);
    let line = format!("standbys = [{{ host = \"127.0.0.1\", port = {} }}]", standby.port());
    let others = before.lines().filter(|line| !line.starts_with("standbys = "));
    let text: String = others.chain([line.as_str()]).map(|line| format!("{line}\n")).collect();
    set(stage, &text);
    before
}

fn set(stage: &mut Stage, text: &str) {
    let _out = stage.out(&[Part::Agent]);
    stage.stack.room.write(CONFIG, text);
    stage.stack.agent().kill9();
    stage.stack.agent().start();
}

/// Somebody who is connected there with a session of the target.
async fn connected(stage: &Stage, standby: &TestPg) -> Option<(Held, User)> {
    let held = Held::take(stage, 120).await?;
    stage.stack.target.followed_by(standby).await;
    let port = |port: u16| format!(":{port}/");
    let there = held.dsn.replace(&port(stage.stack.target.port()), &port(standby.port()));
    let user = User::login(&there).await.ok()?;
    Some((held, user))
}

async fn cut_there(stage: &Stage, standby: &TestPg) -> Hits {
    let Some((held, user)) = connected(stage, standby).await else { return Hits::of(0, "logins on the standby") };
    let revoked = held.caller.revoke(held.session, PATIENCE).await;
    let begun = Instant::now();
    while !user.is_cut() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(POLL).await;
    }
    Hits::of(u64::from(revoked && user.is_cut()), "connection cut on the standby")
}

/// The standby does not hear that the login is off, so the session is on its way out until it does.
async fn waited_for(stage: &Stage, standby: &TestPg) -> Hits {
    let Some((held, user)) = connected(stage, standby).await else { return Hits::of(0, "logins on the standby") };
    standby.pause_replay().await;
    let revoked = held.caller.revoke(held.session, PATIENCE).await;
    let time = Duration::from_secs(stage.options.dose.pick(6, 20));
    let (begun, mut looks, mut early) = (Instant::now(), 0, 0);
    while begun.elapsed() < time {
        match is_cut(stage, &held).await {
            Some(true) => early += 1,
            Some(false) => looks += 1,
            None => {}
        }
        tokio::time::sleep(POLL).await;
    }
    standby.resume_replay().await;
    let begun = Instant::now();
    while is_cut(stage, &held).await != Some(true) && begun.elapsed() < PATIENCE {
        tokio::time::sleep(POLL).await;
    }
    let over = revoked && early == 0 && is_cut(stage, &held).await == Some(true) && user.is_cut();
    let looks = Hits::of(if early == 0 { looks } else { 0 }, "looks at a revoked session that a standby still lets in");
    looks.and(&Hits::of(u64::from(over), "session over once the standby had caught up"))
}

/// Whether the ledger says that the session has no login and no connection anywhere.
async fn is_cut(stage: &Stage, held: &Held) -> Option<bool> {
    let sight = ledger_sight(&mut stage.ledger_eye()).await?;
    Some(sight.sessions.get(&held.session)?.cut)
}
