//! F16: an agent that stands still in the middle of its work and wakes up when others have gone on.

use super::Hits;
use crate::part::Part;
use crate::stage::Stage;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rustix::process::Pid;
use std::time::Duration;

/// F16. A second agent takes over what the first one holds, once its leases have run out.
pub(super) async fn agent(stage: &mut Stage, random: &mut StdRng) -> Hits {
    stage.add_another_agent().await;
    tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
    stage.stack.agent().pause();
    // Past its leases, and far past them.
    let pause = Duration::from_secs(stage.options.dose.pick(8, 40));
    tokio::time::sleep(pause).await;
    let stood_still = is_stopped(stage.stack.agent().pid());
    stage.stack.agent().resume();
    let _out = stage.out(&[Part::Agent]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stage.keep_first_agent();
    Hits::of(u64::from(stood_still), "agent seen stopped by the kernel").and(&Hits::of(pause.as_secs(), "seconds"))
}

/// Whether the kernel says that a process is stopped.
pub(super) fn is_stopped(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}
