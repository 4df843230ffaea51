//! Somebody else's work on the target, `pgbench -S`, while logins are made there.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gk_e2e::{DATABASE, TARGET};

use super::contest::Contest;
use super::{Findings, Plan};
use crate::lab::Lab;
use crate::ours;
use crate::report::{Table, Wanted, row};
use crate::stats::count;
use crate::turns::Side;

/// Logins a second that are asked for, whatever became of the last one.
const WANTED_RATE: f64 = 100.0;
/// Logins that may be under way; beyond it the asking waits.
const AT_ONCE: usize = 32;
const SECONDS: u32 = 8;
/// A neighbour that leaves room on the machine asks for this share of what it could have.
const MODEST: f64 = 0.25;

const ABOUT: &str = "pgbench -S (prepared, 4 connections, 50,000 rows) on the target, alone and while 100 logins a second are asked for \
    there, one every ten milliseconds. Once as fast as it can, which takes every core it gets, so that whoever makes logins on the same machine takes some away; \
    and once at a quarter of that rate, as a neighbour that leaves room. What is kept is compared with the run alone just before it.";

/// Who disturbs the neighbour: nobody, or a contender.
struct Case<'a> {
    name: &'a str,
    side: Option<&'a Side<'a>>,
}

/// Transactions a second, their mean latency, and logins that were made a second.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    tps: f64,
    latency_ms: f64,
    made: f64,
}

pub(super) async fn run(plan: &Plan) -> Findings {
    let contest = Contest::start(plan, AT_ONCE).await;
    let sides = contest.sides();
    let labs = [&contest.lab, contest.low()];
    for lab in labs {
        pgbench(lab, &["-i", "-q", "-s", "1"]).await;
    }
    let mut findings = Findings::about("A neighbour on the target", ABOUT);
    let columns = ["neighbour", "beside", "logins a second", "transactions a second", "kept, %", "latency, ms"];
    let mut table = Table::new("", &columns);
    for modest in [false, true] {
        let mut pace = None;
        for side in &sides {
            let lab = side.lab();
            let alone = best(lab, &Case { name: "nobody", side: None }, pace, plan).await;
            if modest && pace.is_none() {
                pace = Some(alone.tps * MODEST);
            }
            let alone = if modest { best(lab, &Case { name: "nobody", side: None }, pace, plan).await } else { alone };
            let beside = best(lab, &Case { name: side.name(), side: Some(side) }, pace, plan).await;
            let who = if modest { "at a quarter" } else { "as fast as it can" };
            let kept = 100.0 * beside.tps / alone.tps;
            table.rows.push(row![who, "nobody", None, alone.tps, None, alone.latency_ms]);
            table.rows.push(row![who, side.name(), beside.made, beside.tps, kept, beside.latency_ms]);
            findings.wanted.extend(wanted(side, modest, kept));
        }
    }
    findings.tables = vec![table];
    contest.note(&mut findings);
    findings
}

fn wanted(side: &Side<'_>, modest: bool, kept: f64) -> Option<Wanted> {
    let who = if modest { "at a quarter of its rate" } else { "as fast as it can" };
    match side {
        Side::Raw(..) | Side::OpenBao(..) => None,
        Side::Ours(_) | Side::OursLow(_) => {
            let what = format!("pgbench -S {who} beside 100 mints/s ({}) keeps", side.name());
            Some(Wanted::at_least(&what, kept, 90.0, " %"))
        }
    }
}

/// The better of two runs: what the machine did otherwise only ever takes away.
async fn best(lab: &Lab, case: &Case<'_>, pace: Option<f64>, plan: &Plan) -> Seen {
    let mut best = Seen::default();
    for _ in 0..plan.rounds.clamp(1, 2) {
        let seen = once(lab, case, pace).await;
        if seen.tps > best.tps {
            best = seen;
        }
    }
    crate::say(format_args!("   {best:?} beside {}", case.name));
    best
}

async fn once(lab: &Lab, case: &Case<'_>, pace: Option<f64>) -> Seen {
    let seconds = SECONDS.to_string();
    let rate = pace.map(|pace| format!("{pace:.0}"));
    let mut args = vec!["-n", "-S", "-M", "prepared", "-c", "4", "-j", "1", "-T", &seconds];
    args.extend(rate.iter().flat_map(|rate| ["-R", rate]));
    let stop = AtomicBool::new(false);
    let work = async {
        let said = pgbench(lab, &args).await;
        stop.store(true, Ordering::Relaxed);
        said
    };
    let (said, made) = tokio::join!(work, disturb(case.side, &stop));
    if let Some(side) = case.side {
        side.clean().await;
    }
    Seen { tps: said_number(&said, "tps = "), latency_ms: said_number(&said, "latency average = "), made }
}

/// Logins a second until `stop`.
async fn disturb(side: Option<&Side<'_>>, stop: &AtomicBool) -> f64 {
    let Some(side) = side else { return 0.0 };
    let (begun, asked, made) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    let worker = async |_: usize| {
        while !stop.load(Ordering::Relaxed) {
            let n = asked.fetch_add(1, Ordering::Relaxed);
            let due = Duration::from_secs_f64(count(n) / WANTED_RATE);
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            side.one_of(n).await;
            made.fetch_add(1, Ordering::Relaxed);
        }
    };
    crate::raw::join_all((0..AT_ONCE).map(worker)).await;
    count(made.into_inner()) / begun.elapsed().as_secs_f64()
}

/// Runs pgbench as the target's superuser and gives what it said.
async fn pgbench(lab: &Lab, args: &[&str]) -> String {
    let mut command = lab.stack.room.command(lab.stack.target.program("pgbench"));
    command.args([
        "-h",
        "127.0.0.1",
        "-p",
        &lab.stack.target.port().to_string(),
        "-U",
        lab.stack.target.superuser_name(),
    ]);
    command.args(args).arg(DATABASE).env("PGPASSWORD", lab.stack.target.superuser_password());
    let output = command.output().await.expect("pgbench runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "pgbench: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The number after these words.
fn said_number(said: &str, words: &str) -> f64 {
    let rest = said.split_once(words).map_or("", |(_, rest)| rest);
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    number.parse().unwrap_or_else(|error| panic!("pgbench said no `{words}` ({error}): {said}"))
}

impl Side<'_> {
    /// One login, from any of its callers; it stays until the clean-up.
    async fn one_of(&self, n: usize) {
        match self {
            Self::Raw(raw, _) => raw.one_of(n).await,
            Self::Ours(lab) | Self::OursLow(lab) => {
                drop(ours::open(&lab.clients[n % lab.clients.len()], ours::request(TARGET, 3600)).await);
            }
            Self::OpenBao(peer, _) => drop(peer.one_of(n).await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_says_is_read() {
        let said = "latency average = 0.123 ms\ninitial connection time = 4 ms\ntps = 32456.789012 (without initial)\n";
        assert_eq!(said_number(said, "tps = "), 32456.789012);
        assert_eq!(said_number(said, "latency average = "), 0.123);
    }
}
