//! Memory of control plane and agent with 0, 10,000 and 100,000 live sessions.

use std::time::Duration;

use gk_cli::client::Wait;
use gk_e2e::TARGET;

use super::{Findings, Plan};
use crate::lab::{Lab, LabOptions};
use crate::ours;
use crate::process::resident;
use crate::report::{Axis, Cell, Chart, Series, Table, Wanted, row};
use crate::seed::{Life, Model, Place};
use crate::stats::count;

const STEPS: [usize; 3] = [0, 10_000, 100_000];
/// The agent has looked at its target three times by then, each look a full one.
const SETTLE: Duration = Duration::from_secs(25);
/// Sessions that begin and end before memory is read.
const MINTS: usize = 40;

const ABOUT: &str = "All sessions are on one target: copies of one real session with its job, key and audit events in the ledger, and \
    of its role, memberships, mark and fence row in the target's catalogs. At each step control plane and agent are started anew, \
    look at the target for 25 seconds, and make and end 40 sessions; then what they hold (VmRSS) and the most they held (VmHWM) is read.";

pub(super) async fn run(_plan: &Plan) -> Findings {
    let mut lab = Lab::start(LabOptions::with_callers(4)).await;
    let lift = "-- bench::cap\nALTER TABLE gk.pack DROP CONSTRAINT IF EXISTS pack_max_live_check; \
                UPDATE gk.pack SET max_live = 500000";
    lab.observer.batch_execute(lift).await.expect("a superuser may lift a limit");
    let model = Model::make(&lab).await;
    let columns = [
        "live sessions",
        "control plane, MiB",
        "its most, MiB",
        "agent, MiB",
        "its most, MiB",
        "create→ready p50, ms",
        "looks that took too long",
    ];
    let mut table = Table::new("", &columns);
    let mut points: [Vec<[f64; 2]>; 2] = Default::default();
    let mut last = [0.0; 2];
    for (place, live) in STEPS.into_iter().enumerate() {
        let before = STEPS[place.saturating_sub(1)];
        let (seen, p50, late) = step(&mut lab, &model, live - before.min(live)).await;
        let [plane, agent] = seen;
        points[0].push([count(live), plane.0]);
        points[1].push([count(live), agent.0]);
        last = [plane.0, agent.0];
        let row: Vec<Cell> = row![live, plane.0, plane.1, agent.0, agent.1, p50, late];
        table.rows.push(row);
    }
    let mut findings = Findings::about("Memory", ABOUT);
    findings.tables = vec![table];
    let series = ["control plane", "agent"].into_iter().zip(points);
    findings.charts = vec![Chart {
        file: "memory-rss".to_owned(),
        title: "Memory with live sessions".to_owned(),
        x: Axis::linear("live sessions"),
        y: Axis::linear("VmRSS, MiB"),
        series: series.map(|(name, points)| Series { name: name.to_owned(), points }).collect(),
    }];
    findings.wanted = vec![
        Wanted::at_most("memory of the control plane at 100,000 sessions", last[0], 64.0, " MiB"),
        Wanted::at_most("memory of the agent at 100,000 sessions", last[1], 32.0, " MiB"),
    ];
    findings.used("Postgres of ledger and target", &lab.stack.target.major().to_string());
    findings
}

/// Adds sessions; memory of control plane and agent, time of a create, and looks that the agent gave up.
async fn step(lab: &mut Lab, model: &Model, more: usize) -> ([(f64, f64); 2], f64, usize) {
    lab.stack.agent().stop().await;
    let ids = model.copy(more, Place::Here, Life::Live).await;
    if !ids.is_empty() {
        model.copy_roles(lab, &ids).await;
    }
    model.sealed().await;
    lab.stack.plane.process.stop().await;
    lab.stack.plane.process.start();
    lab.stack.plane.answers().await;
    let told = late(lab);
    lab.stack.agent().start();
    lab.stack.agent_is_online("agent-a").await;
    tokio::time::sleep(SETTLE).await;
    let mut sample = crate::stats::Sample::default();
    for client in &lab.clients {
        for _ in 0..MINTS / lab.clients.len() {
            let begun = std::time::Instant::now();
            match client.open_session(ours::request(TARGET, 900), Wait::AtMost(ours::PATIENCE)).await {
                Ok(opened) => {
                    sample.add(begun.elapsed());
                    ours::revoke(client, opened.view.session_id).await;
                }
                Err(error) => crate::say(format_args!("   no session: {error}")),
            }
        }
    }
    let late = late(lab) - told;
    let memory = |daemon: &gk_e2e::Daemon| resident(daemon.pid().as_raw_nonzero().get());
    let seen = [memory(&lab.stack.plane.process), memory(lab.stack.agent())];
    (seen, sample.figures().p50_ms, late)
}

fn late(lab: &mut Lab) -> usize {
    lab.stack.agent().log_text().matches("took too long").count()
}
