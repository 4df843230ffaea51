//! The table of faults: one line each.

use super::{Fault, kills, pauses, wires};
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
];

/// Every fault, in the order of its number.
#[must_use]
pub const fn all() -> &'static [Fault] {
    ALL
}
