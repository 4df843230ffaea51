//! The table of faults: one line each.

use super::{
    Fault, agents, backends, backlog, disks, jobs, kills, limits, pauses, people, refusals, restores, standbys,
    syscalls, tamper, times, versions, wires,
};
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
    fault!("F1", "kill -9 at every system call with an effect", [Strace], Plain, false, syscalls::kill_at_each),
    fault!("F2", "kill -9 of agent, control plane, ledger and target at random", [], Plain, true, kills::everything),
    fault!("F3", "kill -9 of the target's server", [], Plain, true, kills::target),
    fault!("F4", "a target that acknowledges before it writes, and is killed", [], Plain, true, backends::asynchronous),
    fault!("F5", "kill -9 of the ledger's server under load", [], Plain, false, kills::ledger),
    fault!("F6", "lost commit acknowledgement, target to agent", [], Plain, true, wires::lost_ack_of_target),
    fault!("F7", "lost commit acknowledgement, ledger to control plane", [], Plain, true, wires::lost_ack_of_ledger),
    fault!("F8", "lost HTTP answer to client and agent", [], Plain, true, wires::lost_answer),
    fault!("F9", "partition of agent and control plane past the ends", [], Plain, false, wires::agent_from_plane),
    fault!("F10", "partition of agent and target", [], Plain, true, wires::agent_from_target),
    fault!("F11", "one-way partitions of the agent", [], Plain, false, wires::one_way),
    fault!("F12", "lost packets, and slow ways that lose some", [Nft], Plain, false, limits::loss),
    fault!("F13", "connection resets everywhere", [], Plain, true, wires::resets),
    fault!("F14", "half-open connections", [], Plain, false, wires::half_open),
    fault!("F15", "one byte a second on each wire", [], Plain, false, wires::trickle),
    fault!("F16", "an agent stopped in mid-work wakes up late", [], Plain, true, pauses::agent),
    fault!("F17", "a backend that hears no signal", [], Plain, true, backends::stopped),
    fault!("F18", "the target's clock jumps by an hour and stands still", [Faketime], Clocks, false, times::target),
    fault!("F19", "clocks of control plane and agent jump by an hour", [Faketime], Clocks, false, times::programs),
    fault!("F20", "the target's disk is full", [Mount], Plain, false, disks::target),
    fault!("F21", "the audit log's disk is full", [Mount], Plain, false, disks::audit_log),
    fault!(
        "F22",
        "the ledger's disk does not keep what it is told to",
        [Strace],
        Durable,
        false,
        syscalls::fsync_fails
    ),
    fault!("F23", "the ledger's disk takes nothing more", [Strace], Plain, false, syscalls::read_only),
    fault!("F24", "too few files, too little memory", [Memory], Plain, false, limits::too_little),
    fault!("F25", "four agents and no leases", [], Plain, true, agents::without_leases),
    fault!("F26", "a mint that arrives after its revoke", [], Plain, true, agents::late_mint),
    fault!("F27", "two revokes and the expiry at the same instant", [], Plain, true, jobs::same_instant),
    fault!("F28", "the target restored from a base backup", [], Plain, false, restores::target),
    fault!("F29", "the ledger restored to what it was", [], Plain, false, restores::ledger),
    fault!("F30", "a standby promoted that had fallen behind", [], Plain, false, restores::promoted),
    fault!("F31", "sessions on a standby, and on one that is behind", [], Plain, false, standbys::sessions),
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
    fault!("F36", "the log tampered with while it is written", [], Plain, false, tamper::log),
    fault!("F37", "the job table emptied under load", [], Plain, true, jobs::truncated),
    fault!("F38", "a rollout: this version beside an earlier one", [Earlier], Plain, false, versions::rolled_out),
    fault!("F39", "thousands of sessions overdue at the start", [], Plain, false, backlog::at_boot),
];

/// Every fault, in the order of its number.
#[must_use]
pub const fn all() -> &'static [Fault] {
    ALL
}
