//! F12, F24: a network that loses, and programs with too few files or too little memory.

use super::Hits;
use crate::limits::{FewFiles, LittleMemory, open_files};
use crate::loss::Loss;
use crate::part::Part;
use crate::stage::Stage;
use crate::wire::Weather;
use rand::rngs::StdRng;
use rustix::process::Pid;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const WAYS: [Part; 4] = [Part::AgentToTarget, Part::AgentToPlane, Part::ClientToPlane, Part::PlaneToLedger];
const POLL: Duration = Duration::from_millis(50);
/// 64 kbit/s.
const BYTES_A_SECOND: u32 = 8_000;
/// A control plane has this many files and no more.
const FILES: u64 = 64;
/// Less than any of the programs needs after its first moment.
const BYTES: u64 = 256 * 1024;

/// F12. First every fifth packet is lost, then one in twenty, and each way carries 64 kbit/s.
pub(super) async fn loss(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let seconds = Duration::from_secs(stage.options.dose.pick(5, 20));
    let wires = &stage.wires;
    let ports = [
        stage.stack.target.port(),
        stage.stack.plane.port(),
        wires.agent_target.port(),
        wires.agent_plane.port(),
        wires.client_plane.port(),
        wires.plane_ledger.port(),
    ];
    let _out = stage.out(&WAYS);
    let heavy = Loss::of(20, &ports);
    tokio::time::sleep(seconds).await;
    let first = heavy.lost();
    drop(heavy);
    let slow = Weather::Narrow(BYTES_A_SECOND);
    let all = [&wires.agent_target, &wires.agent_plane, &wires.client_plane, &wires.plane_ledger];
    let _spells = all.map(|wire| wire.weather(slow.clone()));
    let light = Loss::of(5, &ports);
    tokio::time::sleep(seconds).await;
    Hits::of(first, "packets of every fifth lost").and(&Hits::of(light.lost(), "of one in twenty, on narrow ways"))
}

/// F24. A control plane whose files are used up by idle connections, an agent that cannot open one more; then each is killed
/// for want of memory.
pub(super) async fn too_little(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let few = files_of_plane(stage).await.and(&files_of_agent(stage).await);
    let mut killed = 0;
    for part in [Part::Agent, Part::Plane] {
        killed += memory_of(stage, part).await;
    }
    let killed = if killed == 2 { killed } else { 0 };
    few.and(&Hits::of(killed, "killed for want of memory"))
}

async fn files_of_plane(stage: &mut Stage) -> Hits {
    let _out = stage.out(&[Part::Plane]);
    let (pid, port) = (stage.stack.plane.process.pid(), stage.stack.plane.port());
    let time = Duration::from_secs(stage.options.dose.pick(5, 15));
    let _limit = FewFiles::of(pid, FILES);
    let mut idle = Vec::new();
    for _ in 0..2 * FILES {
        idle.extend(TcpStream::connect(("127.0.0.1", port)).await);
    }
    Hits::of(moments_at(pid, FILES, time).await, "moments without a file for the control plane")
}

async fn files_of_agent(stage: &mut Stage) -> Hits {
    let _out = stage.out(&[Part::Agent]);
    let pid = stage.stack.agent().pid();
    let time = Duration::from_secs(stage.options.dose.pick(4, 15));
    // None of those that are open is taken away, and no connection comes back in the place of one that breaks.
    let limit = open_files(pid).saturating_sub(3).max(8);
    let _few = FewFiles::of(pid, limit);
    stage.wires.agent_target.reset();
    Hits::of(moments_at(pid, limit, time).await, "moments without a file for the agent")
}

/// How often, of many looks, a process had as many files as it may have.
async fn moments_at(pid: Pid, limit: u64, time: Duration) -> u64 {
    let begun = Instant::now();
    let mut moments = 0;
    while begun.elapsed() < time {
        moments += u64::from(open_files(pid) >= limit);
        tokio::time::sleep(POLL).await;
    }
    moments
}

/// Whether the kernel killed it. Its supervisor starts it again.
async fn memory_of(stage: &mut Stage, part: Part) -> u64 {
    let _out = stage.out(&[part]);
    let group = LittleMemory::of(BYTES);
    let program = if part == Part::Agent { stage.stack.agent() } else { &mut stage.stack.plane.process };
    // From its first page on: memory that it has already stays where it is counted.
    program.kill9();
    program.start();
    group.take_in(program.pid());
    let begun = Instant::now();
    while program.runs() && begun.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(POLL).await;
    }
    let killed = group.killed();
    program.kill9();
    drop(group);
    program.start();
    u64::from(killed > 0)
}
