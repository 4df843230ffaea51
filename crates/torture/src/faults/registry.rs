//! The table of faults: one line each.

use super::{Fault, agents, jobs, kills, pauses, people, refusals, times, wires};
use crate::stage::Kind;

/// A line of the table: number, what it does, what it needs, its stage, whether CI has it, what runs.
macro_rules! fault {
    ($number:literal, $name:literal, [$($need:ident),*], $kind:ident, $cheap:literal, $run:path) => {
        Fault {
            number: $number,
            name: $name,
            needs: &[$(crate::need::Need::$need),*],
            kind: Kind::$kind,
            cheap: $cheap,
            run: |stage, random| Box::pin($run(stage, random)),
        }
    };
}

const ALL: &[Fault] = &[
    fault!("F2", "kill -9 of agent, control plane, ledger and target at random", [], Plain, true, kills::everything),
    fault!("F3", "kill -9 of the target's server", [], Plain, true, kills::target),
    fault!("F5", "kill -9 of the ledger's server under load", [], Plain, false, kills::ledger),
    fault!("F6", "lost commit acknowledgement, target to agent", [], Plain, true, wires::lost_ack_of_target),
    fault!("F7", "lost commit acknowledgement, ledger to control plane", [], Plain, true, wires::lost_ack_of_ledger),
    fault!("F8", "lost HTTP answer to client and agent", [], Plain, true, wires::lost_answer),
    fault!("F9", "partition of agent and control plane past the ends", [], Plain, false, wires::agent_from_plane),
    fault!("F10", "partition of agent and target", [], Plain, true, wires::agent_from_target),
    fault!("F11", "one-way partitions of the agent", [], Plain, false, wires::one_way),
    fault!("F13", "connection resets everywhere", [], Plain, true, wires::resets),
    fault!("F14", "half-open connections", [], Plain, false, wires::half_open),
    fault!("F15", "one byte a second on each wire", [], Plain, false, wires::trickle),
    fault!("F16", "an agent stopped in mid-work wakes up late", [], Plain, true, pauses::agent),
    fault!("F18", "the target's clock jumps by an hour and stands still", [Faketime], Clocks, false, times::target),
    fault!("F19", "clocks of control plane and agent jump by an hour", [Faketime], Clocks, false, times::programs),
    fault!("F25", "four agents and no leases", [], Plain, true, agents::without_leases),
    fault!("F26", "a mint that arrives after its revoke", [], Plain, true, agents::late_mint),
    fault!("F27", "two revokes and the expiry at the same instant", [], Plain, true, jobs::same_instant),
    fault!("F32", "a DBA drops, renames and replaces our roles", [], Plain, true, people::dba),
    fault!("F33", "a user fights: prepared transaction, locks, objects, storm", [], Plain, true, people::user),
    fault!(
        "F34",
        "the target refuses the agent: full, password, pg_hba.conf, restart",
        [],
        Plain,
        false,
        refusals::refused
    ),
    fault!("F37", "the job table emptied under load", [], Plain, true, jobs::truncated),
];

/// Every fault, in the order of its number.
#[must_use]
pub const fn all() -> &'static [Fault] {
    ALL
}
