//! Everybody who makes logins, started: shared by the scenarios that compare them.

use crate::lab::{Lab, LabOptions};
use crate::measure::{Findings, Plan};
use crate::openbao::OpenBao;
use crate::raw::Raw;
use crate::report::{Table, row};
use crate::turns::{Score, Side};

/// The contenders.
pub(super) struct Contest {
    // Before the lab, whose directory it uses.
    peer: Option<OpenBao>,
    raw: Raw,
    pub(super) lab: Lab,
    low: Lab,
}

impl Contest {
    /// Starts them, for up to so many clients each.
    pub(super) async fn start(plan: &Plan, clients: usize) -> Self {
        let options = LabOptions::with_callers(clients);
        let lab = Lab::start(options).await;
        let low = Lab::start(LabOptions { low_iterations: true, ..options }).await;
        let raw = Raw::prepare(&lab.stack.target, clients).await;
        raw.mint(clients, 3).await;
        raw.clean().await;
        let peer = match &plan.openbao {
            Some(program) => Some(OpenBao::start(program, &lab, clients).await),
            None => None,
        };
        Self { peer, raw, lab, low }
    }

    /// In the order of tables and legends.
    pub(super) fn sides(&self) -> Vec<Side<'_>> {
        let mut sides = vec![Side::Raw(&self.raw, &self.lab), Side::Ours(&self.lab), Side::OursLow(&self.low)];
        sides.extend(self.peer.as_ref().map(|peer| Side::OpenBao(peer, &self.lab)));
        sides
    }

    pub(super) fn low(&self) -> &Lab {
        &self.low
    }

    pub(super) fn peer(&self) -> Option<&OpenBao> {
        self.peer.as_ref()
    }

    /// Says who took part.
    pub(super) fn note(&self, findings: &mut Findings) {
        findings.used("Postgres of ledger and target", &self.lab.stack.target.major().to_string());
        match &self.peer {
            Some(peer) => findings.used("OpenBao", peer.version()),
            None => findings.notes.push("OpenBao did not take part in this run.".to_owned()),
        }
    }
}

/// Names and places of the contenders in a list of scores.
pub(super) struct Places {
    pub(super) raw: usize,
    pub(super) ours: usize,
    pub(super) low: usize,
    pub(super) peer: Option<usize>,
}

/// Where each contender stands in [`Contest::sides`].
pub(super) fn places(sides: &[Side<'_>]) -> Places {
    let peer = sides.iter().position(|side| matches!(side, Side::OpenBao(..)));
    Places { raw: 0, ours: 1, low: 2, peer }
}

/// What a login costs each part in processor time.
pub(super) fn cpu_table(sides: &[Side<'_>], scores: &[Vec<Score>], clients: &[usize]) -> Table {
    let mut table = Table::new(
        "Processor time of one login",
        &["contender", "clients", "in", "ms", "all parts but the callers, ms"],
    );
    for (side, scores) in sides.iter().zip(scores) {
        for (score, &clients) in scores.iter().zip(clients) {
            let all: f64 = score.cpu_ms.iter().filter(|(part, _)| *part != "callers").map(|(_, ms)| ms).sum();
            for (place, (part, ms)) in score.cpu_ms.iter().enumerate() {
                let all = (place == 0).then_some(all);
                table.rows.push(row![side.name(), clients, *part, *ms, all]);
            }
        }
    }
    table
}
