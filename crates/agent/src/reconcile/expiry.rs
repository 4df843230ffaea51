//! Expiry: sweeps the target at the moment the next session is over, and goes on until what it began is finished.
//!
//! Needs the target and nothing else. The estimate of the target's clock is never ahead of it, so the sweep comes after
//! the end, by about the time that an answer takes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gk_shared::ids::SessionId;
use tokio_util::sync::CancellationToken;

use super::jittered;
use crate::metrics::Metrics;
use crate::provider::{SweepOutcome, Swept};
use crate::target::Target;

/// Between sweeps when nothing is due. A clock that jumps ahead after it was set back ends sessions by the clock that never
/// goes back, which the server's own VALID UNTIL does not know: only a sweep sees that, and this is how long one may get in.
const ROUND: Duration = Duration::from_secs(1);
/// After a sweep that cut something: those who were on their way in are met by the next.
const NEXT_CUT: Duration = Duration::from_millis(10);
/// After the last cut: then the helpers' second look is due.
const SETTLE: Duration = Duration::from_millis(505);
/// Between looks once it was due.
const NEXT_LOOK: Duration = Duration::from_millis(100);
/// What is not dropped by then waits for the usual round.
const FOLLOW_FOR: Duration = Duration::from_secs(5);
/// After a sweep that failed, whatever is due: a target that does not answer is not asked in a tight loop.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Sweeps until `stop` is cancelled.
pub(super) async fn run(target: Arc<Target>, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut follow = FollowUp::default();
    let mut failed: Option<Instant> = None;
    loop {
        let now = Instant::now();
        let due = target.next_due().and_then(|end| target.provider.clock().instant_of(end, now));
        let soonest = due.into_iter().chain(follow.next).min();
        let wait = pause(soonest, failed, now);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Another end became the next one: count anew.
            () = target.due_changed.notified(), if !wait.is_zero() => continue,
            () = tokio::time::sleep(wait) => {}
        }
        let swept = target.provider.sweep().await;
        target.heard(&swept);
        failed = swept.is_err().then(Instant::now);
        match swept {
            Ok(swept) => take_in(&target, &metrics, &mut follow, &swept),
            Err(error) => tracing::warn!(target_name = %target.name, %error, "the target could not be swept"),
        }
    }
}

/// How long until the next sweep: the next end or what was begun, else the usual round; never right after a failure.
fn pause(soonest: Option<Instant>, failed: Option<Instant>, now: Instant) -> Duration {
    let usual = jittered(ROUND);
    let wanted = soonest.map_or(usual, |soonest| soonest.saturating_duration_since(now).min(usual));
    let rest = failed.map_or(Duration::ZERO, |failed| (failed + AFTER_ERROR).saturating_duration_since(now));
    wanted.max(rest)
}

fn take_in(target: &Target, metrics: &Metrics, follow: &mut FollowUp, swept: &[Swept]) {
    let now = Instant::now();
    if let Some(told) = target.provider.clock().estimate(now) {
        target.passed(told);
    }
    for one in swept {
        metrics.swept(one.outcome);
        match one.outcome {
            SweepOutcome::Dropped => target.dropped(one.session),
            SweepOutcome::Blocked => {
                tracing::warn!(session = %one.session, detail = one.detail, "cannot be dropped yet");
            }
            SweepOutcome::Disarmed | SweepOutcome::Killed => {}
        }
        tracing::info!(target_name = %target.name, session = %one.session, outcome = ?one.outcome, "swept");
    }
    follow.learn(swept, now);
    if swept.iter().any(|one| one.outcome == SweepOutcome::Dropped) {
        target.look_now.notify_one();
    }
}

/// What was begun and is not finished, and when to go on. Pure.
#[derive(Debug, Default)]
struct FollowUp {
    begun: BTreeSet<SessionId>,
    last_cut: Option<Instant>,
    next: Option<Instant>,
}

impl FollowUp {
    fn learn(&mut self, swept: &[Swept], now: Instant) {
        for one in swept {
            if one.outcome.goes_on() {
                self.begun.insert(one.session);
                self.last_cut = Some(now);
            } else {
                self.begun.remove(&one.session);
            }
        }
        let cut_now = self.last_cut == Some(now);
        let since_cut = self.last_cut.map(|cut| now.saturating_duration_since(cut));
        self.next = match since_cut {
            _ if self.begun.is_empty() => None,
            None => None,
            Some(_) if cut_now => Some(now + NEXT_CUT),
            Some(since) if since < SETTLE => Some(now + (SETTLE - since)),
            Some(since) if since < FOLLOW_FOR => Some(now + NEXT_LOOK),
            Some(_) => None,
        };
        if self.next.is_none() {
            self.begun.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swept(n: u8, outcome: SweepOutcome) -> Swept {
        Swept { session: SessionId::from_parts(1_700_000_000_000, [n; 10]), outcome, detail: String::new() }
    }

    #[test]
    fn a_cut_is_followed_at_once_then_after_the_settle_time_until_it_is_dropped() {
        let (mut follow, start) = (FollowUp::default(), Instant::now());
        follow.learn(&[], start);
        assert_eq!(follow.next, None, "nothing was begun");
        follow.learn(&[swept(1, SweepOutcome::Disarmed)], start);
        assert_eq!(follow.next, Some(start + NEXT_CUT));
        let quiet = start + NEXT_CUT;
        follow.learn(&[], quiet);
        assert_eq!(follow.next, Some(start + SETTLE));
        let due = start + SETTLE;
        follow.learn(&[], due);
        assert_eq!(follow.next, Some(due + NEXT_LOOK));
        follow.learn(&[swept(1, SweepOutcome::Dropped)], due + NEXT_LOOK);
        assert_eq!(follow.next, None);
    }

    #[test]
    fn a_target_that_fails_is_left_alone_for_a_while_though_something_is_overdue() {
        let now = Instant::now();
        let overdue = now.checked_sub(Duration::from_secs(9));
        assert_eq!(pause(overdue, None, now), Duration::ZERO);
        assert_eq!(pause(overdue, Some(now), now), AFTER_ERROR);
        assert_eq!(pause(overdue, Some(now), now + AFTER_ERROR), Duration::ZERO);
    }

    #[test]
    fn what_does_not_get_done_is_left_to_the_usual_round() {
        let (mut follow, start) = (FollowUp::default(), Instant::now());
        follow.learn(&[swept(1, SweepOutcome::Killed)], start);
        follow.learn(&[], start + FOLLOW_FOR);
        assert_eq!(follow.next, None);
        assert!(follow.begun.is_empty());
    }
}
