//! Contenders in turns: in each round each of them makes logins at each number of clients, so that whatever else the
//! machine does meets all of them alike.

use std::time::Duration;

use gk_e2e::TARGET;

use crate::lab::Lab;
use crate::openbao::OpenBao;
use crate::ours;
use crate::process::{Watched, cpu_seconds};
use crate::raw::Raw;
use crate::stats::{Sample, Turn, count};

/// How long the machine is left alone between two turns, for what the last one left to be written.
const PAUSE: Duration = Duration::from_millis(200);

/// Who makes logins.
pub(crate) enum Side<'a> {
    /// `CREATE ROLE` by hand, on the target of this lab.
    Raw(&'a Raw, &'a Lab),
    /// Gatekeeper, at 4096 iterations.
    Ours(&'a Lab),
    /// Gatekeeper, on a target where verifiers take one iteration.
    OursLow(&'a Lab),
    /// OpenBao, on the target of this lab.
    OpenBao(&'a OpenBao, &'a Lab),
}

impl Side<'_> {
    /// Its name in tables and legends.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Raw(..) => "raw SQL",
            Self::Ours(_) => "Gatekeeper",
            Self::OursLow(_) => "Gatekeeper, low iterations",
            Self::OpenBao(..) => "OpenBao",
        }
    }

    /// The stack on whose target it makes logins.
    pub(crate) fn lab(&self) -> &Lab {
        match self {
            Self::Raw(_, lab) | Self::Ours(lab) | Self::OursLow(lab) | Self::OpenBao(_, lab) => lab,
        }
    }

    async fn mint(&self, at_once: usize, each: usize) -> Turn {
        match self {
            Self::Raw(raw, _) => raw.mint(at_once, each).await,
            Self::Ours(lab) | Self::OursLow(lab) => ours::create_round(&lab.clients[..at_once], TARGET, each).await,
            Self::OpenBao(peer, _) => peer.mint(at_once, each).await,
        }
    }

    /// Ends all logins that it made.
    pub(crate) async fn clean(&self) {
        match self {
            Self::Raw(raw, _) => raw.clean().await,
            Self::Ours(lab) | Self::OursLow(lab) => ours::end_all(lab).await,
            Self::OpenBao(peer, _) => peer.clean().await,
        }
    }

    /// Whose processor time its logins cost.
    fn watched(&self) -> Vec<Watched> {
        let of_lab = |lab: &Lab, wanted: &[&str]| {
            let mut all = lab.watched();
            all.retain(|watched| wanted.contains(&watched.name));
            all
        };
        match self {
            Self::Raw(_, lab) => of_lab(lab, &["target", "callers"]),
            Self::Ours(lab) | Self::OursLow(lab) => lab.watched(),
            Self::OpenBao(peer, lab) => {
                let mut all = vec![peer.watched()];
                all.extend(of_lab(lab, &["target", "callers"]));
                all
            }
        }
    }
}

/// What one contender did at one number of clients, over all rounds.
#[derive(Debug, Clone)]
pub(crate) struct Score {
    /// Times.
    pub(crate) sample: Sample,
    /// Processor milliseconds of a login, for each part of the contender.
    pub(crate) cpu_ms: Vec<(&'static str, f64)>,
}

/// How much is done.
pub(crate) struct Course<'a> {
    /// Numbers of clients.
    pub(crate) clients: &'a [usize],
    /// How often each contender has its turn at each of them.
    pub(crate) rounds: usize,
    /// Logins of each client in a turn.
    pub(crate) each: fn(usize) -> usize,
}

/// Runs the course: a score for each contender and each number of clients.
pub(crate) async fn run(sides: &[Side<'_>], course: &Course<'_>) -> Vec<Vec<Score>> {
    let empty = |side: &Side<'_>| Score {
        sample: Sample::default(),
        cpu_ms: side.watched().iter().map(|watched| (watched.name, 0.0)).collect(),
    };
    let mut scores: Vec<Vec<Score>> =
        sides.iter().map(|side| course.clients.iter().map(|_| empty(side)).collect()).collect();
    for round in 0..course.rounds {
        crate::say(format_args!("   round {} of {}", round + 1, course.rounds));
        for (place, &at_once) in course.clients.iter().enumerate() {
            for turn in 0..sides.len() {
                // Who begins changes from round to round.
                let who = (turn + round) % sides.len();
                let each = (course.each)(at_once);
                take_turn(&sides[who], (at_once, each), &mut scores[who][place]).await;
            }
        }
    }
    for score in scores.iter_mut().flatten() {
        let n = count(score.sample.figures().n);
        score.cpu_ms.iter_mut().for_each(|(_, ms)| *ms /= n);
    }
    scores
}

async fn take_turn(side: &Side<'_>, (at_once, each): (usize, usize), score: &mut Score) {
    let watched = side.watched();
    let before = cpu_seconds(&watched);
    score.sample.join(side.mint(at_once, each).await);
    let after = cpu_seconds(&watched);
    for ((_, ms), (before, after)) in score.cpu_ms.iter_mut().zip(before.iter().zip(after)) {
        *ms += (after - before) * 1000.0;
    }
    side.clean().await;
    tokio::time::sleep(PAUSE).await;
}
