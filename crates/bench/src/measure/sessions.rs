//! Beginnings at 1 and at 8 clients, in turns with everybody else; ends, and how soon nothing is left.

use std::time::{Duration, Instant};

use super::contest::{Contest, cpu_table, places};
use super::{Findings, Plan};
use crate::ours;
use crate::raw::join_all;
use crate::report::{Table, Wanted, timed};
use crate::stats::{Figures, Sample};
use crate::turns::{Course, Score};

const CLIENTS: [usize; 2] = [1, 8];

const ABOUT: &str = "From the request to the opened credential, at one client and at eight, each client asking again at \
    once. The raw transaction is CREATE ROLE and GRANT by a superuser over an open connection, with a verifier made by the client. The \
    target with low iterations is a server of its own with the same settings. Then how soon after a revoke, and after the end, the \
    target shows no connection of the session any more.";

pub(super) async fn run(plan: &Plan) -> Findings {
    let contest = Contest::start(plan, 8).await;
    let sides = contest.sides();
    let each = |clients| if clients == 1 { 40 } else { 12 };
    let scores = crate::turns::run(&sides, &Course { clients: &CLIENTS, rounds: plan.rounds, each }).await;
    let mut findings = Findings::about("Sessions begin and end", ABOUT);
    let mut table = Table::of_times("");
    for (side, scores) in sides.iter().zip(&scores) {
        for (score, clients) in scores.iter().zip(CLIENTS) {
            table.rows.push(timed(side.name(), clients, &score.sample.figures()));
        }
    }
    crate::say(format_args!("   ends"));
    let ends = ends(&contest, plan.ends).await;
    table.rows.extend(ends.iter().map(|(what, figures)| timed(what, 1, figures)));
    findings.tables = vec![table, cpu_table(&sides, &scores, &CLIENTS)];
    findings.wanted = wanted(&places(&sides), &scores, &ends);
    contest.note(&mut findings);
    if contest.peer().is_some() {
        findings.notes.push(
            "OpenBao's revoke drops the role and answers; it neither cuts connections that are open nor looks for them."
                .to_owned(),
        );
    }
    findings
}

const REVOKED: &str = "Gatekeeper: revoke → last connection gone";
const EXPIRED: &str = "Gatekeeper: end → last connection gone (all at about once)";

async fn ends(contest: &Contest, times: usize) -> Vec<(&'static str, Figures)> {
    let lab = &contest.lab;
    let mut revoked = Sample::default();
    for _ in 0..times {
        revoked.add(ours::revoke_to_cut(&lab.clients[0], &lab.observer).await);
    }
    let callers = lab.clients.iter().cycle().take(times);
    let expired: Sample =
        join_all(callers.map(|client| ours::expiry_to_cut(client, &lab.observer))).await.into_iter().collect();
    let mut all = vec![(REVOKED, revoked.figures()), (EXPIRED, expired.figures())];
    if let Some(peer) = contest.peer() {
        let mut dropped = Sample::default();
        for n in 0..times {
            let lease = peer.one_of(n).await;
            dropped.add(peer.revoke(&lease).await);
        }
        all.push(("OpenBao: revoke → answer", dropped.figures()));
    }
    all.push(("gk --version", startup(times).figures()));
    all
}

/// `gk --version`, from start to end of the process.
fn startup(times: usize) -> Sample {
    let time = |_| -> Duration {
        let begun = Instant::now();
        let output = std::process::Command::new(gk_e2e::program("gk")).arg("--version").output().expect("gk runs");
        assert!(output.status.success(), "gk --version fails");
        begun.elapsed()
    };
    (0..times).map(time).collect()
}

fn wanted(at: &super::contest::Places, scores: &[Vec<Score>], ends: &[(&str, Figures)]) -> Vec<Wanted> {
    let p50 = |who: usize| scores[who][0].sample.figures().p50_ms;
    let rate = |who: usize| scores[who][1].sample.figures().rate.unwrap_or_default();
    let end = |wanted: &str| ends.iter().find(|(what, _)| *what == wanted).map(|(_, figures)| *figures);
    let mut all = Vec::new();
    if let Some(peer) = at.peer {
        all.extend([
            Wanted::at_most("create→ready p50 at 1 client ÷ OpenBao's", p50(at.ours) / p50(peer), 1.0, "×"),
            Wanted::at_least("mints/s at 8 clients ÷ OpenBao's", rate(at.ours) / rate(peer), 1.2, "×"),
            Wanted::at_least("the same, low-iteration target", rate(at.low) / rate(peer), 4.0, "×"),
        ]);
    }
    all.extend([
        Wanted::at_most("create→ready p50 at 1 client ÷ raw", p50(at.ours) / p50(at.raw), 3.0, "×"),
        Wanted::at_least("mints/s at 8 clients ÷ raw", 100.0 * rate(at.ours) / rate(at.raw), 40.0, " %"),
    ]);
    if let (Some(revoked), Some(expired)) = (end(REVOKED), end(EXPIRED)) {
        all.push(Wanted::at_most("revoke → last connection gone, p50", revoked.p50_ms, 10.0, " ms"));
        all.push(Wanted::at_most("end → last connection gone, p95", expired.p95_ms, 1000.0, " ms"));
    }
    all
}
