//! F18, F19: clocks of the target, the control plane and the agent that jump or stand still.

use super::Hits;
use crate::stage::Stage;
use jiff::Timestamp;
use rand::rngs::StdRng;
use std::time::Duration;

/// Longer than libfaketime keeps what it read.
const TAKES_EFFECT: Duration = Duration::from_millis(1500);
const HOUR: &str = "3600";

/// F18. An hour ahead, back again (which is an hour back), an hour back from there, and then it stands still.
pub(super) async fn target(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let mut jumps = 0_u32;
    for offset in [format!("+{HOUR}"), "+0".to_owned(), format!("-{HOUR}"), "+0".to_owned()] {
        let before = clock(stage).await;
        set(stage, "target", &offset).await;
        jumps += u32::from(jumped(before, clock(stage).await));
    }
    let stood = stands_still(stage).await;
    set(stage, "target", "+0").await;
    Hits::of(jumps, "jumps of the target's clock seen").and(&Hits::of(u32::from(stood), "standstill seen"))
}

/// F19.
pub(super) async fn programs(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let mut set_to = 0_u32;
    for program in ["plane", "agent"] {
        for offset in [format!("+{HOUR}"), format!("-{HOUR}"), "+0".to_owned()] {
            set(stage, program, &offset).await;
            set_to += 1;
        }
    }
    let seen = jumps_in_log(stage);
    Hits::of(set_to, "clocks set").and(&Hits::of(seen, "log lines with such a time"))
}

async fn set(stage: &Stage, program: &str, offset: &str) {
    if let Some(clocks) = &stage.clocks {
        clocks.set(program, offset);
    }
    tokio::time::sleep(TAKES_EFFECT).await;
    tokio::time::sleep(Duration::from_secs(stage.options.dose.pick(2, 8))).await;
}

async fn clock(stage: &Stage) -> Option<Timestamp> {
    let rows = stage.target_hand().ask("-- faults::clock\nSELECT clock_timestamp()").await?;
    rows.first().map(|row| row.get(0))
}

/// By half an hour at least, one way or the other.
fn jumped(before: Option<Timestamp>, after: Option<Timestamp>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    after.duration_since(before).as_secs().abs() > 1800
}

async fn stands_still(stage: &Stage) -> bool {
    let Some(now) = clock(stage).await else { return false };
    let instant = now.strftime("%Y-%m-%d %H:%M:%S").to_string();
    set(stage, "target", &instant).await;
    let (first, second) = (clock(stage).await, clock(stage).await);
    first.is_some() && first == second
}

/// Lines of both programs' logs that bear a time an hour away from the target's.
fn jumps_in_log(stage: &Stage) -> usize {
    let texts = [stage.stack.plane.process.log_text(), stage.stack.agents[0].log_text()];
    texts.iter().map(|text| jumps_in(text)).filter(|jumps| *jumps > 0).count()
}

fn jumps_in(text: &str) -> usize {
    let stamp = |line: &str| line.split_whitespace().find_map(|word| word.parse::<Timestamp>().ok());
    let stamps: Vec<Timestamp> = text.lines().filter_map(stamp).collect();
    stamps.windows(2).filter(|pair| jumped(Some(pair[0]), Some(pair[1]))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_told_from_time_that_passes() {
        let log = "2026-11-22T08:00:00Z INFO a\n2026-11-22T08:00:05Z INFO b\n2026-11-22T09:00:05Z INFO c\nno time\n";
        assert_eq!(jumps_in(log), 1);
    }
}
