//! What a session costs beside up to 10,000 live roles on the same target, before and since version 16.

use gk_e2e::{TARGET, Version};
use gk_shared::ids::SessionId;

use super::{Findings, Plan};
use crate::lab::{Lab, LabOptions};
use crate::ours;
use crate::report::{Axis, Chart, Series, Table, Wanted, timed};
use crate::seed::{Life, Model, Place};
use crate::stats::{Figures, Sample, count};

/// Live roles at which sessions are made.
const STEPS: [usize; 5] = [0, 1000, 2500, 5000, 10_000];
/// Roles that one statement makes.
const CHUNK: usize = 100;
/// Sessions of a turn, and turns of a step.
const EACH: usize = 25;
const TURNS: usize = 3;

const ABOUT: &str = "Roles are made by the helpers themselves (gk.mint, called on the server with a verifier of one iteration, so \
    that ten thousand do not take an hour), with a session in the ledger for each (copies of one real session); the owner of the helpers is no \
    superuser. At each step sessions are made through the whole product at one client and 4096 iterations, in turns with a second \
    stack whose target has no other roles. Live roles of one pack are capped at 5,000 by the helpers; the cap is lifted for this.";

pub(super) async fn run(_plan: &Plan) -> Findings {
    let mut findings = Findings::about("Beside up to 10,000 live roles on one target", ABOUT);
    let mut table = Table::of_times("");
    let mut series = Vec::new();
    for version in Version::ALL {
        let (of_version, steps) = climb(version).await;
        let ratio = |step: &(usize, [Figures; 2])| step.1[0].p50_ms / step.1[1].p50_ms;
        for (live, [beside, alone]) in &steps {
            table.rows.push(timed(&format!("PostgreSQL {of_version}, beside {live} roles"), 1, beside));
            table.rows.push(timed(&format!("PostgreSQL {of_version}, beside none"), 1, alone));
        }
        let points = steps.iter().map(|step| [count(step.0), step.1[0].p50_ms]).collect();
        series.push(Series { name: format!("PostgreSQL {of_version}"), points });
        if let Some(last) = steps.last() {
            let what = format!("create→ready p50 beside 10,000 roles ÷ beside none, PostgreSQL {of_version}");
            findings.wanted.push(Wanted::at_most(&what, ratio(last), 1.5, "×"));
        }
        findings.used("Postgres of ledger and target", &of_version);
    }
    findings.charts = vec![Chart {
        file: "roles-p50".to_owned(),
        title: "Time to a session beside live roles on the same target, median".to_owned(),
        x: Axis::linear("live roles on the target"),
        y: Axis::linear("p50, ms"),
        series,
    }];
    findings.tables = vec![table];
    findings
}

/// The version's number, and at each step the figures of the filled stack and of the empty one.
async fn climb(version: Version) -> (String, Vec<(usize, [Figures; 2])>) {
    let options = LabOptions { version, ..LabOptions::with_callers(1) };
    let (mut filled, empty) = (Lab::start(options).await, Lab::start(options).await);
    lift_cap(&filled).await;
    let model = Model::make(&filled).await;
    let mut steps = Vec::new();
    for (place, live) in STEPS.into_iter().enumerate() {
        let before = STEPS[place.saturating_sub(1)];
        if live > before {
            fill(&mut filled, &model, live - before).await;
        }
        crate::say(format_args!("   {version}: {live} live roles"));
        let mut samples: [Sample; 2] = Default::default();
        for _ in 0..TURNS {
            for (lab, sample) in [&filled, &empty].into_iter().zip(&mut samples) {
                sample.join(ours::create_round(&lab.clients, TARGET, EACH).await);
            }
        }
        steps.push((live, samples.map(|sample| sample.figures())));
    }
    (filled.stack.target.major().to_string(), steps)
}

/// The agent is away meanwhile: it would take half of what it sees for lost.
async fn fill(lab: &mut Lab, model: &Model, count: usize) {
    lab.stack.agent().stop().await;
    set_iterations(lab, 1).await;
    let ids = model.copy(count, Place::Here, Life::Live).await;
    for some in ids.chunks(CHUNK) {
        let names: Vec<String> = some.iter().map(SessionId::to_string).collect();
        lab.observer.execute(MINT, &[&names]).await.expect("the helpers make roles");
    }
    set_iterations(lab, 4096).await;
    lab.observer.batch_execute("-- bench::analyze\nANALYZE").await.expect("a superuser may analyze");
    lab.stack.agent().start();
    lab.stack.agent_is_online("agent-a").await;
    ours::create_round(&lab.clients, TARGET, 3).await;
}

const MINT: &str = "-- bench::mint
    SELECT count(m.role_name) FROM unnest($1::text[]) s, gk.pack k, LATERAL gk.mint(s, 1, k.name, k.version, k.digest,
        'seeded', 'SCRAM-SHA-256$1:AAAAAAAAAAAAAAAAAAAAAA==$' || repeat('A', 43) || '=:' || repeat('A', 43) || '=',
        interval '3 hours', clock_timestamp() + interval '1 minute', NULL) m
    WHERE k.name = 'app_read'";

async fn set_iterations(lab: &Lab, least: i32) {
    let sql = format!("-- bench::iterations\nUPDATE gk.setting SET value = {least} WHERE name = 'min_iterations'");
    lab.observer.batch_execute(&sql).await.expect("a superuser may change a setting");
}

async fn lift_cap(lab: &Lab) {
    let sql = "-- bench::cap\nALTER TABLE gk.pack DROP CONSTRAINT IF EXISTS pack_max_live_check; \
               UPDATE gk.pack SET max_live = 50000";
    lab.observer.batch_execute(sql).await.expect("a superuser may lift a limit");
}
