//! F1, F22: what a tracer does to system calls: kills at each of them, and a disk that keeps nothing.

use super::Hits;
use super::disks::revive;
use crate::part::Part;
use crate::stage::Stage;
use crate::trace::{Injection, Tracer, When, family};
use gk_e2e::Daemon;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

/// What has an effect outside of the process: after each of these the world may be another.
const EFFECTS: &str = "sendto,sendmsg,write,writev,fsync,fdatasync,connect,openat,rename";
/// A program that never makes so many calls of a kind lives on.
const LIVES: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

type Pick = fn(&mut Stage) -> &mut Daemon;
const PROGRAMS: [(Pick, Part); 2] =
    [(|stage| stage.stack.agent(), Part::Agent), (|stage| &mut stage.stack.plane.process, Part::Plane)];

/// F1. Agent and control plane in turn, killed at the first call of a thread that has an effect, at the second, and so on.
pub(super) async fn kill_at_each(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let mut hits = Hits { count: u64::MAX, proof: "at the n-th call".to_owned() };
    for (program, part) in PROGRAMS {
        let mut killed = 0;
        for n in 1..=stage.options.dose.pick(4, 15) {
            let _out = stage.out(&[part]);
            killed += u64::from(killed_at(program(stage), n).await);
            program(stage).start();
            stage.supervise();
        }
        hits = hits.and(&Hits::of(killed, &format!("kills of the {part:?}")));
    }
    hits
}

/// Whether it died of the n-th call. It is down afterwards in any case.
async fn killed_at(program: &mut Daemon, n: u32) -> bool {
    let injection = Injection { calls: EFFECTS, what: "signal=SIGKILL", when: When::Nth(n) };
    let tracer = Tracer::attach(&[program.pid()], injection).await;
    let begun = Instant::now();
    while program.runs() && begun.elapsed() < LIVES {
        tokio::time::sleep(POLL).await;
    }
    let died = !program.runs() && tracer.killed() > 0;
    program.kill9();
    died
}

/// F22. The ledger's disk does not take what it is told to keep: the server must give up and recover, not try again.
pub(super) async fn fsync_fails(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let _out = stage.out(&[Part::Ledger]);
    let server = stage.stack.plane.ledger.pid().expect("no fault leaves it stopped");
    let seconds = stage.options.dose.pick(5, 15);
    let injection = Injection { calls: "fsync,fdatasync", what: "error=EIO", when: When::Always };
    let tracer = Tracer::attach(&family(server), injection).await;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let injected = tracer.injected();
    drop(tracer);
    revive(&mut stage.stack.plane.ledger).await;
    stage.supervise();
    Hits::of(injected, "calls to keep data failed with EIO")
}
