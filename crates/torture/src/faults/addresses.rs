//! F40: a target that is found at another address under the same name.

use super::Hits;
use super::held::Held;
use crate::part::Part;
use crate::stage::Stage;
use crate::wire::{Weather, Wire};
use gk_e2e::program;
use rand::rngs::StdRng;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const CONFIG: &str = "agent-a.toml";
const NAME: &str = "target.torture.internal";
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
const NEW: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// F40. The agent knows its target by a name. The name moves, the old address is dead, and whoever got a session at the old one
/// is cut by way of the new one.
pub(super) async fn moved(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let before = stage.stack.room.read(CONFIG);
    points_to(stage, Ipv4Addr::LOCALHOST);
    by_name(stage, &before);
    let held = Held::take(stage, 120).await;
    let hits = {
        let old = &stage.wires.agent_target;
        let new = Wire::from(SocketAddr::new(IpAddr::V4(NEW), old.port()), stage.stack.target.port()).await;
        let out = stage.out(&[Part::AgentToTarget]);
        let _dead = old.weather(Weather::Refused);
        tokio::time::sleep(Duration::from_secs(stage.options.dose.pick(2, 10))).await;
        points_to(stage, NEW);
        is_used(&new).await;
        drop(out);
        works_there(stage, &new, held).await
    };
    restart(stage, &program("gk-agent"), &before);
    hits
}

async fn works_there(stage: &Stage, new: &Wire, held: Option<Held>) -> Hits {
    let cut = match held {
        Some(held) => held.is_revoked_and_cut(PATIENCE).await,
        None => false,
    };
    let made = Held::take(stage, 20).await.is_some();
    let hits = Hits::of(new.counted().carried.load(Ordering::Relaxed), "connections of the agent to the new address");
    let cut = Hits::of(u64::from(cut), "session of before cut there");
    hits.and(&cut).and(&Hits::of(u64::from(made), "session made there"))
}

async fn is_used(wire: &Wire) {
    let begun = Instant::now();
    while wire.counted().carried.load(Ordering::Relaxed) == 0 && begun.elapsed() < PATIENCE {
        tokio::time::sleep(POLL).await;
    }
}

/// What the name means to the agent. The file is written in place, because the agent sees that very file.
fn points_to(stage: &Stage, address: Ipv4Addr) {
    stage.stack.room.write("hosts", &format!("127.0.0.1 localhost\n{address} {NAME}\n"));
}

/// Has the agent know its target by the name, in a world whose list of hosts is ours.
fn by_name(stage: &mut Stage, before: &str) {
    let named = format!("\nhost = \"{NAME}\"\nadvertise_host = \"127.0.0.1\"\n");
    let text = before.replacen("\nhost = \"127.0.0.1\"\n", &named, 1);
    let room = &stage.stack.room;
    let script = format!(
        "#!/bin/sh\nexec /usr/bin/unshare --mount --propagation private /bin/sh -c \
         'mount --bind \"$0\" /etc/hosts && exec \"$@\"' {:?} {:?} \"$@\"\n",
        room.path("hosts"),
        program("gk-agent"),
    );
    let script = room.write("agent-with-hosts", &script);
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
    restart(stage, &script, &text);
}

fn restart(stage: &mut Stage, program: &std::path::Path, config: &str) {
    let _out = stage.out(&[Part::Agent]);
    stage.stack.room.write(CONFIG, config);
    stage.stack.agent().kill9();
    stage.stack.agent().replace_program(program);
    stage.stack.agent().start();
}
