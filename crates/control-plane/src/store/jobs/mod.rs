//! Jobs: what agents are asked to do, who may work on which one, and until when.
//!
//! A job has one live lease at most. It ends by a result or by time; each lease has a token of its own, and a result
//! with an older one changes nothing. Jobs are hints: losing them all costs seconds, because the scan makes them anew.

/// The lane of the end of session `s`. What somebody wants goes before what the target's own clock and its agent's sweep
/// have taken care of: after a night without a control plane, nobody's revoke waits for thousands of expiries.
macro_rules! lane_of_end {
    () => {
        "CASE s.end_reason WHEN 'expired' THEN 3 ELSE 0 END"
    };
}
pub(in crate::store) use lane_of_end;

mod apply;
mod claim;
mod complete;
pub(in crate::store) mod dispatch;
mod renew;
pub(in crate::store) mod verdict;

pub use claim::claim;
pub(in crate::store) use claim::lease_ms;
pub use complete::{Completion, Timing, complete};
pub use renew::renew;

use std::time::Duration;

/// How long a lease holds, unless it is renewed. What an agent had in hand when it died waits this long for the next one,
/// so it is short; whoever works renews it in time, and whoever comes too late is refused by generation, not by time.
pub const LEASE: Duration = Duration::from_secs(5);
/// Sessions that may be in the making on one target at once, so that a dead target cannot fill every agent.
pub const TARGET_CAP: i64 = 64;
