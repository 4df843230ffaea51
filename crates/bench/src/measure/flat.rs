//! What a session costs beside 100 and beside 100,000 others in the ledger.

use gk_e2e::TARGET;

use super::{Findings, Plan};
use crate::lab::{Lab, LabOptions};
use crate::ours;
use crate::report::{Table, Wanted, row, timed};
use crate::seed::{Life, Model, Place};
use crate::stats::Sample;

const FEW: usize = 100;
const MANY: usize = 100_000;
/// Sessions of a turn, and turns of a round.
const EACH: usize = 25;
const TURNS: usize = 4;

const ABOUT: &str = "Two stacks side by side, one with 100 live sessions in its ledger and one with 100,000 (copies of one real \
    session with its job, key and audit events, on twenty targets that no agent serves; the sealer linked all events before the \
    measurement). Sessions are made in turns on a target of their own, at one client and at eight.";

pub(super) async fn run(plan: &Plan) -> Findings {
    let (few, many) = (lab(FEW).await, lab(MANY).await);
    let labs = [(FEW, &few), (MANY, &many)];
    let mut samples: [[Sample; 2]; 2] = Default::default();
    for round in 0..plan.rounds * TURNS {
        for turn in 0..labs.len() {
            let who = (turn + round) % labs.len();
            let lab = labs[who].1;
            samples[who][0].join(ours::create_round(&lab.clients[..1], TARGET, EACH).await);
            samples[who][1].join(ours::create_round(&lab.clients, TARGET, EACH / 5).await);
            ours::end_all(lab).await;
        }
    }
    let mut findings = Findings::about("Beside 100 and beside 100,000 live sessions", ABOUT);
    let mut table = Table::of_times("");
    let figures = samples.map(|of_lab| of_lab.map(|sample| sample.figures()));
    for ((live, _), figures) in labs.iter().zip(&figures) {
        table.rows.push(timed(&format!("create→ready beside {live}"), 1, &figures[0]));
        table.rows.push(timed(&format!("create→ready beside {live}"), 8, &figures[1]));
    }
    let mut sizes = Table::new("The ledger", &["live sessions", "MiB on disk", "control plane, MiB"]);
    for (live, lab) in labs {
        let rss = crate::process::resident(lab.stack.plane.process.pid().as_raw_nonzero().get()).0;
        sizes.rows.push(row![live, megabytes(lab).await, rss]);
    }
    findings.tables = vec![table, sizes];
    findings.wanted = vec![
        Wanted::at_most(
            "create→ready p50 beside 100,000 ÷ beside 100",
            figures[1][0].p50_ms / figures[0][0].p50_ms,
            1.2,
            "×",
        ),
        Wanted::at_most("the same at 8 clients", figures[1][1].p50_ms / figures[0][1].p50_ms, 1.2, "×"),
    ];
    findings.used("Postgres of ledger and target", &few.stack.target.major().to_string());
    findings
}

async fn lab(live: usize) -> Lab {
    let lab = Lab::start(LabOptions::with_callers(8)).await;
    let model = Model::make(&lab).await;
    model.copy(live, Place::Elsewhere, Life::Live).await;
    model.sealed().await;
    lab
}

async fn megabytes(lab: &Lab) -> f64 {
    let sql = "-- bench::size\nSELECT pg_database_size(current_database())::float8 / 1048576";
    lab.stack.books().await.superuser().query_one(sql, &[]).await.expect("the ledger answers").get(0)
}
