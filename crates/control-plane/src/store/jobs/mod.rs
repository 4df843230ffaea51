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

/// Whether agent `g` may have work at all: it is not disabled, and what it shows has neither run out nor been revoked.
macro_rules! agent_works {
    () => {
        "EXISTS (SELECT FROM actors o JOIN tokens k ON k.actor_id = o.id WHERE o.id = g.actor_id
            AND o.disabled_at IS NULL AND k.revoked_at IS NULL AND k.expires_at > now())"
    };
}
pub(in crate::store) use agent_works;

/// How a new job of session `s` begins, from its state on: leased with this token for so many seconds to the agent that
/// `l` names, else in the queue.
macro_rules! offered {
    ($token:literal, $seconds:literal) => {
        concat!(
            "CASE WHEN l.agent_id IS NULL THEN 'queued' ELSE 'leased' END,
            CASE WHEN l.agent_id IS NULL THEN now() ELSE clock_timestamp() + make_interval(secs => ",
            $seconds,
            ") END, (l.agent_id IS NOT NULL)::int, l.agent_id, CASE WHEN l.agent_id IS NOT NULL THEN ",
            $token,
            " END, CASE WHEN l.agent_id IS NOT NULL THEN s.generation END"
        )
    };
}
pub(in crate::store) use offered;

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
