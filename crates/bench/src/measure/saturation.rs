//! Beginnings at 1 to 32 clients: where each contender stops getting faster.

use super::contest::{Contest, cpu_table, places};
use super::{Findings, Plan};
use crate::report::{Axis, Chart, Series, Table, Wanted, timed};
use crate::stats::{Figures, count};
use crate::turns::{Course, Score, Side};

const CLIENTS: [usize; 6] = [1, 2, 4, 8, 16, 32];

const ABOUT: &str = "Each client asks for a login, opens it and asks again at once. In each round every contender has its turn at \
    every number of clients; between turns all logins are ended, outside the time that counts.";

pub(super) async fn run(plan: &Plan) -> Findings {
    let contest = Contest::start(plan, 32).await;
    let sides = contest.sides();
    let each = |clients: usize| if clients == 1 { 48 } else { (128 / clients).max(6) };
    let scores = crate::turns::run(&sides, &Course { clients: &CLIENTS, rounds: plan.rounds, each }).await;
    let mut findings = Findings::about("Saturation", ABOUT);
    let mut table = Table::of_times("");
    for (side, scores) in sides.iter().zip(&scores) {
        for (score, clients) in scores.iter().zip(CLIENTS) {
            table.rows.push(timed(side.name(), clients, &score.sample.figures()));
        }
    }
    findings.tables = vec![table, cpu_table(&sides, &scores, &CLIENTS)];
    let rate = |figures: Figures| figures.rate.unwrap_or_default();
    findings.charts = vec![
        chart("saturation-rate", "Logins a second", Axis::linear("logins a second"), &series(&sides, &scores, rate)),
        chart(
            "saturation-p50",
            "Time to a login, median",
            Axis::doubling("p50, ms"),
            &series(&sides, &scores, |f| f.p50_ms),
        ),
        chart(
            "saturation-p99",
            "Time to a login, slowest of a hundred",
            Axis::doubling("p99, ms"),
            &series(&sides, &scores, |f| f.p99_ms),
        ),
    ];
    let at = places(&sides);
    if let Some(peer) = at.peer {
        let best = |who: usize| scores[who].iter().map(|s| rate(s.sample.figures())).fold(0.0, f64::max);
        findings.wanted = vec![
            Wanted::at_least("best mints/s ÷ OpenBao's best", best(at.ours) / best(peer), 1.2, "×"),
            Wanted::at_least("the same, low-iteration target", best(at.low) / best(peer), 4.0, "×"),
        ];
    }
    contest.note(&mut findings);
    findings
}

type Lines = Vec<(String, Vec<[f64; 2]>)>;

fn series(sides: &[Side<'_>], scores: &[Vec<Score>], pick: fn(Figures) -> f64) -> Lines {
    let points = |scores: &Vec<Score>| -> Vec<[f64; 2]> {
        scores.iter().zip(CLIENTS).map(|(score, clients)| [count(clients), pick(score.sample.figures())]).collect()
    };
    sides.iter().zip(scores).map(|(side, scores)| (side.name().to_owned(), points(scores))).collect()
}

fn chart(file: &str, title: &str, y: Axis, lines: &Lines) -> Chart {
    let series = lines.iter().map(|(name, points)| Series { name: name.clone(), points: points.clone() }).collect();
    Chart { file: file.to_owned(), title: title.to_owned(), x: Axis::doubling("clients"), y, series }
}
