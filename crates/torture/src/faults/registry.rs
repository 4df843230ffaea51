//! The table of faults: one line each.

use super::{
    Fault, addresses, agents, backends, backlog, certificates, disks, jobs, kills, limits, pauses, people, refusals,
    restores, standbys, syscalls, tamper, times, versions, wires,
};
use crate::stage::Kind;

/// A line of the table: number, what it does, what it needs, its stage, whether CI has it, seconds, what runs.
macro_rules! fault {
    ($number:literal, $name:literal, [$($need:ident),*], $kind:ident, $cheap:literal, $seconds:literal, $run:path) => {
        Fault {
            number: $number,
            name: $name,
            needs: &[$(crate::need::Need::$need),*],
            kind: Kind::$kind,
            cheap: $cheap,
            seconds: $seconds,
            run: |stage, random| Box::pin($run(stage, random)),
        }
    };
}

const ALL: &[Fault] = &[
    fault!("F1", "kill -9 at every system call with an effect", [Strace], Plain, false, 60, syscalls::kill_at_each),
    fault!(
        "F2",
        "kill -9 of agent, control plane, ledger and target at random",
        [],
        Plain,
        true,
        25,
        kills::everything
    ),
    fault!("F3", "kill -9 of the target's server", [], Plain, true, 15, kills::target),
    fault!(
        "F4",
        "a target that acknowledges before it writes, and is killed",
        [],
        Plain,
        true,
        25,
        backends::asynchronous
    ),
    fault!("F5", "kill -9 of the ledger's server under load", [], Plain, false, 20, kills::ledger),
    fault!("F6", "lost commit acknowledgement, target to agent", [], Plain, true, 20, wires::lost_ack_of_target),
    fault!(
        "F7",
        "lost commit acknowledgement, ledger to control plane",
        [],
        Plain,
        true,
        20,
        wires::lost_ack_of_ledger
    ),
    fault!("F8", "lost HTTP answer to client and agent", [], Plain, true, 25, wires::lost_answer),
    fault!("F9", "partition of agent and control plane past the ends", [], Plain, false, 25, wires::agent_from_plane),
    fault!("F10", "partition of agent and target", [], Plain, true, 20, wires::agent_from_target),
    fault!("F11", "one-way partitions of the agent", [], Plain, false, 30, wires::one_way),
    fault!("F12", "lost packets, and narrow ways that lose some", [Nft], Plain, false, 30, limits::loss),
    fault!("F13", "connection resets everywhere", [], Plain, true, 20, wires::resets),
    fault!("F14", "half-open connections", [], Plain, false, 20, wires::half_open),
    fault!("F15", "one byte a second on each wire", [], Plain, false, 35, wires::trickle),
    fault!("F16", "an agent stopped in mid-work wakes up late", [], Plain, true, 25, pauses::agent),
    fault!("F17", "a backend that hears no signal", [], Plain, true, 25, backends::stopped),
    fault!("F18", "the target's clock jumps by an hour and stands still", [Faketime], Clocks, false, 35, times::target),
    fault!("F19", "clocks of control plane and agent jump by an hour", [Faketime], Clocks, false, 30, times::programs),
    fault!("F20", "the target's disk is full", [Mount], Plain, false, 35, disks::target),
    fault!("F21", "the audit log's disk is full", [Mount], Plain, false, 35, disks::audit_log),
    fault!(
        "F22",
        "the ledger's disk does not keep what it is told to",
        [Strace],
        Durable,
        false,
        25,
        syscalls::fsync_fails
    ),
    fault!("F23", "the ledger's disk breaks, and is for reading alone", [Volume], Durable, false, 40, disks::read_only),
    fault!("F24", "too few files, too little memory", [Memory], Plain, false, 40, limits::too_little),
    fault!("F25", "four agents and no leases", [], Plain, true, 20, agents::without_leases),
    fault!("F26", "a mint that arrives after its revoke", [], Plain, true, 20, agents::late_mint),
    fault!("F27", "two revokes and the expiry at the same instant", [], Plain, true, 35, jobs::same_instant),
    fault!("F28", "the target restored from a base backup", [], Plain, false, 30, restores::target),
    fault!("F29", "the ledger restored to what it was", [], Plain, false, 50, restores::ledger),
    fault!("F30", "a standby promoted that had fallen behind", [], Plain, false, 35, restores::promoted),
    fault!("F31", "sessions on a standby, and on one that is behind", [], Plain, false, 40, standbys::sessions),
    fault!("F32", "a DBA drops, renames and replaces our roles", [], Plain, true, 30, people::dba),
    fault!("F33", "a user fights: prepared transaction, locks, objects, storm", [], Plain, true, 20, people::user),
    fault!(
        "F34",
        "the target refuses the agent: full, password, pg_hba.conf, restart",
        [],
        Plain,
        false,
        30,
        refusals::refused
    ),
    fault!("F35", "a certificate expires, and its authority changes", [], Plain, false, 60, certificates::expired),
    fault!("F36", "the log tampered with while it is written", [], Plain, false, 40, tamper::log),
    fault!("F37", "the job table emptied under load", [], Plain, true, 15, jobs::truncated),
    fault!("F38", "a rollout: this version beside an earlier one", [Earlier], Plain, false, 30, versions::rolled_out),
    fault!("F39", "thousands of sessions overdue at the start", [], Plain, false, 60, backlog::at_boot),
    fault!("F40", "the target moves to another address", [Mount], Plain, false, 40, addresses::moved),
];

/// Every fault, in the order of its number.
#[must_use]
pub const fn all() -> &'static [Fault] {
    ALL
}
