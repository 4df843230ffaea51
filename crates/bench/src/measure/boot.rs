//! A control plane that starts while the time of 100,000 sessions is over.

use std::time::{Duration, Instant};

use gk_e2e::{TARGET, eventually};

use super::{Findings, Plan};
use crate::lab::{Lab, LabOptions};
use crate::ours;
use crate::report::{Table, Wanted, row, timed};
use crate::seed::{Life, Model, Place};
use crate::stats::{Sample, count};

const OVERDUE: usize = 100_000;
const BOOTS: usize = 5;
/// Longest that anything here takes.
const PATIENCE: Duration = Duration::from_secs(600);

const ABOUT: &str = "The control plane is killed; 100,000 sessions that were ready are over since a minute (copies of one real \
    session with its job, key and events, on twenty targets that no agent serves); it is started and asked for the caller's own \
    name until it answers, five times. While it wants the overdue sessions absent one batch after another, sessions are made on a target \
    that has an agent.";

pub(super) async fn run(_plan: &Plan) -> Findings {
    let mut lab = Lab::start(LabOptions::with_callers(1)).await;
    let model = Model::make(&lab).await;
    let client = lab.clients[0].clone();
    lab.stack.plane.process.kill9();
    model.copy(OVERDUE, Place::Elsewhere, Life::Overdue).await;
    let mut first = Sample::default();
    let mut left = Vec::new();
    for boot in 0..BOOTS {
        left.push(overdue(&lab).await);
        let begun = Instant::now();
        lab.stack.plane.process.start();
        while client.me().await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        first.add(begun.elapsed());
        if boot + 1 < BOOTS {
            lab.stack.plane.process.kill9();
        }
    }
    let begun = Instant::now();
    let before = overdue(&lab).await;
    let mut during = Sample::default();
    during.join(ours::create_round(&lab.clients, TARGET, 40).await);
    let after = overdue(&lab).await;
    eventually(PATIENCE, "all overdue sessions are wanted absent", async || match overdue(&lab).await {
        0 => Ok(()),
        left => Err(left),
    })
    .await;
    let drained = begun.elapsed().as_secs_f64();
    let rss = crate::process::resident(lab.stack.plane.process.pid().as_raw_nonzero().get());
    report(&lab, (&left, before, after), (first, during), (drained, rss))
}

async fn overdue(lab: &Lab) -> usize {
    let sql = "-- bench::overdue\nSELECT count(*) FROM sessions WHERE desired = 'present' AND expires_at <= now()";
    let row = lab.stack.books().await.superuser().query_one(sql, &[]).await.expect("the ledger answers");
    usize::try_from(row.get::<_, i64>(0)).expect("a count")
}

fn report(
    lab: &Lab,
    (left, before, after): (&[usize], usize, usize),
    (first, during): (Sample, Sample),
    (drained, (rss, most)): (f64, (f64, f64)),
) -> Findings {
    let mut findings = Findings::about("Boot with 100,000 overdue sessions", ABOUT);
    let (first, during) = (first.figures(), during.figures());
    let mut table = Table::of_times("");
    table.rows.push(timed("start of the process → first answer", 1, &first));
    table.rows.push(timed("create→ready meanwhile", 1, &during));
    let mut facts = Table::new("What went on", &["", "value"]);
    facts.rows.push(row![
        "overdue sessions at the first and at the last boot",
        format!("{} and {}", left[0], left[left.len() - 1]).as_str()
    ]);
    facts.rows.push(row!["overdue sessions while sessions were made", format!("{before} to {after}").as_str()]);
    facts.rows.push(row!["from the last boot until none was left, s", drained]);
    facts.rows.push(row!["overdue sessions taken a second", count(before) / drained]);
    facts.rows.push(row!["memory of the control plane after that, MiB", rss]);
    facts.rows.push(row!["the most it ever held, MiB", most]);
    findings.tables = vec![table, facts];
    findings.wanted =
        vec![Wanted::at_most("boot with 100,000 overdue → first answer, slowest", first.p99_ms / 1000.0, 2.0, " s")];
    findings.used("Postgres of ledger and target", &lab.stack.target.major().to_string());
    findings
}
