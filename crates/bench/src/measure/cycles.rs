//! Many sessions that begin and end: whether catalogs and memory stay as they were.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gk_e2e::TARGET;

use super::{Findings, Plan};
use crate::lab::{Lab, LabOptions};
use crate::ours;
use crate::process::resident;
use crate::raw::join_all;
use crate::report::{Axis, Cell, Chart, Series, Table, Wanted};
use crate::stats::{count, slope};

const CLIENTS: usize = 8;
/// Times that sizes are read.
const LOOKS: usize = 25;

const ABOUT: &str = "Eight clients each begin a session, open it, revoke it, and do so again, on a target with low iterations. Sizes are \
    read with indexes and free space (pg_total_relation_size), at 25 points. gk.fence keeps a row of each ended session for thirty days, and the \
    ledger keeps history: those two grow by design, and the table says by how much.";

/// What is read, and how it is called.
const SIZES: [(&str, &str); 6] = [
    ("pg_authid", "KiB"),
    ("pg_auth_members", "KiB"),
    ("pg_shdepend", "KiB"),
    ("pg_shdescription", "KiB"),
    ("gk.fence", "KiB"),
    ("ledger", "MiB"),
];
/// Of those, the catalogs, which are to stay as they are.
const CATALOGS: usize = 4;

/// Values at one moment: cycles so far, the sizes, memory of control plane and agent, cycles a second since the last.
struct Look {
    cycles: usize,
    values: Vec<f64>,
    memory: [f64; 2],
    rate: f64,
}

pub(super) async fn run(plan: &Plan) -> Findings {
    let lab = Lab::start(LabOptions { low_iterations: true, ..LabOptions::with_callers(CLIENTS) }).await;
    let mut looks = vec![look(&lab, 0, 0.0).await];
    let slice = plan.cycles.div_ceil(LOOKS).max(CLIENTS);
    let mut done = 0;
    while done < plan.cycles {
        let begun = Instant::now();
        cycle(&lab, slice).await;
        done += slice;
        looks.push(look(&lab, done, count(slice) / begun.elapsed().as_secs_f64()).await);
    }
    report(&lab, &looks)
}

/// So many sessions, shared by all callers.
async fn cycle(lab: &Lab, slice: usize) {
    let left = AtomicUsize::new(slice);
    let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    join_all(lab.clients.iter().map(async |client| {
        while take() {
            let opened = ours::open(client, ours::request(TARGET, 900)).await;
            ours::revoke(client, opened.view.session_id).await;
        }
    }))
    .await;
}

async fn look(lab: &Lab, cycles: usize, rate: f64) -> Look {
    let sql = "-- bench::sizes\nSELECT pg_total_relation_size(name::regclass)::float8 / 1024 \
               FROM unnest($1::text[]) WITH ORDINALITY AS n (name, place) ORDER BY place";
    let names: Vec<&str> = SIZES[..SIZES.len() - 1].iter().map(|(name, _)| *name).collect();
    let rows = lab.observer.query(sql, &[&names]).await.expect("the target answers");
    let mut values: Vec<f64> = rows.iter().map(|row| row.get(0)).collect();
    let sql = "-- bench::size\nSELECT pg_database_size(current_database())::float8 / 1048576";
    values.push(lab.stack.books().await.superuser().query_one(sql, &[]).await.expect("the ledger answers").get(0));
    let memory = |daemon: &gk_e2e::Daemon| resident(daemon.pid().as_raw_nonzero().get()).0;
    let memory = [memory(&lab.stack.plane.process), memory(&lab.stack.agents[0])];
    Look { cycles, values, memory, rate }
}

fn report(lab: &Lab, looks: &[Look]) -> Findings {
    let cycles = looks.last().map_or(0, |look| look.cycles);
    let mut findings = Findings::about(&format!("{cycles} sessions that begin and end"), ABOUT);
    let tenth = &looks[looks.len() / 10 + 1..];
    let (early, last) = (&tenth[0], &looks[looks.len() - 1]);
    let at = |look: &Look| format!("at {}", look.cycles);
    let mut table = Table::new("", &["", &at(&looks[0]), &at(early), &at(last), "growth a session since then, bytes"]);
    let mut line = |name: String, bytes: f64, pick: &dyn Fn(&Look) -> f64| {
        let points: Vec<[f64; 2]> = tenth.iter().map(|look| [count(look.cycles), pick(look)]).collect();
        let cells = [pick(&looks[0]), pick(early), pick(last), slope(&points) * bytes];
        table.rows.push([Cell::from(name.as_str())].into_iter().chain(cells.map(Cell::from)).collect());
    };
    for (place, (name, unit)) in SIZES.into_iter().enumerate() {
        let bytes = if unit == "KiB" { 1024.0 } else { 1_048_576.0 };
        line(format!("{name}, {unit}"), bytes, &|look| look.values[place]);
    }
    line("control plane, MiB".to_owned(), 1_048_576.0, &|look| look.memory[0]);
    line("agent, MiB".to_owned(), 1_048_576.0, &|look| look.memory[1]);
    findings.tables = vec![table];
    findings.charts = charts(looks);
    let catalogs = |look: &Look| look.values[..CATALOGS].iter().sum::<f64>();
    let most = tenth.iter().map(catalogs).fold(0.0, f64::max);
    let first = tenth[..tenth.len() / 2].iter().map(|look| look.rate).fold(0.0, f64::max);
    let end = &tenth[tenth.len() / 2..];
    let second = end.iter().map(|look| look.rate).fold(0.0, f64::max);
    findings.wanted = vec![
        Wanted::at_most("catalogs at their largest ÷ after a tenth of the cycles", most / catalogs(early), 1.5, "×"),
        Wanted::at_most(
            "memory of the control plane at the end ÷ after a tenth",
            last.memory[0] / early.memory[0],
            1.2,
            "×",
        ),
        Wanted::at_most("memory of the agent at the end ÷ after a tenth", last.memory[1] / early.memory[1], 1.2, "×"),
        Wanted::at_least("cycles a second in the second half ÷ in the first", second / first, 0.8, "×"),
    ];
    findings.used("Postgres of ledger and target", &lab.stack.target.major().to_string());
    findings
}

fn charts(looks: &[Look]) -> Vec<Chart> {
    let points = |pick: &dyn Fn(&Look) -> f64| looks.iter().map(|look| [count(look.cycles), pick(look)]).collect();
    let series = |name: &str, pick: &dyn Fn(&Look) -> f64| Series { name: name.to_owned(), points: points(pick) };
    let chart = |file: &str, title: &str, y: &str, series: Vec<Series>| Chart {
        file: file.to_owned(),
        title: title.to_owned(),
        x: Axis::linear("sessions begun and ended"),
        y: Axis::linear(y),
        series,
    };
    let catalogs = (0..CATALOGS).map(|place| series(SIZES[place].0, &|look| look.values[place])).collect();
    let memory = vec![series("control plane", &|look| look.memory[0]), series("agent", &|look| look.memory[1])];
    vec![
        chart("cycles-catalogs", "Catalogs over many sessions", "KiB with indexes", catalogs),
        chart("cycles-memory", "Memory over many sessions", "VmRSS, MiB", memory),
    ]
}
