//! The scenarios, one a file. Each starts what it needs, measures, and gives a report; none depends on another.

mod boot;
mod contest;
mod cycles;
mod flat;
mod memory;
mod neighbour;
mod pairs;
mod reconnect;
mod roles;
mod saturation;
mod sessions;

use std::path::PathBuf;

use crate::report::Report;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// Beginnings at 1 and 8 clients, and ends
    Sessions,
    /// Beginnings at 1 to 32 clients
    Saturation,
    /// Revoke against 16 clients that reconnect
    Reconnect,
    /// pgbench on the target beside mints
    Neighbour,
    /// Boot with 100,000 overdue sessions
    Boot,
    /// Beginnings with 100 and with 100,000 live sessions in the ledger
    Flat,
    /// Beginnings with up to 10,000 live roles on the target
    Roles,
    /// Memory with 0, 10,000 and 100,000 sessions
    Memory,
    /// Catalogs and memory over many sessions that begin and end
    Cycles,
    /// Two control planes and two agents against one
    Pairs,
}

impl Scenario {
    /// All, in the order of the page.
    pub(crate) const ALL: [Self; 10] = [
        Self::Sessions,
        Self::Saturation,
        Self::Reconnect,
        Self::Neighbour,
        Self::Boot,
        Self::Flat,
        Self::Roles,
        Self::Memory,
        Self::Cycles,
        Self::Pairs,
    ];
    /// Those that five minutes are enough for.
    pub(crate) const QUICK: [Self; 3] = [Self::Sessions, Self::Saturation, Self::Reconnect];

    /// Its word, and the stem of its files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Saturation => "saturation",
            Self::Reconnect => "reconnect",
            Self::Neighbour => "neighbour",
            Self::Boot => "boot",
            Self::Flat => "flat",
            Self::Roles => "roles",
            Self::Memory => "memory",
            Self::Cycles => "cycles",
            Self::Pairs => "pairs",
        }
    }

    /// Measures it.
    pub(crate) async fn run(self, plan: &Plan) -> Findings {
        match self {
            Self::Sessions => Box::pin(sessions::run(plan)).await,
            Self::Saturation => Box::pin(saturation::run(plan)).await,
            Self::Reconnect => Box::pin(reconnect::run(plan)).await,
            Self::Neighbour => Box::pin(neighbour::run(plan)).await,
            Self::Boot => Box::pin(boot::run(plan)).await,
            Self::Flat => Box::pin(flat::run(plan)).await,
            Self::Roles => Box::pin(roles::run(plan)).await,
            Self::Memory => Box::pin(memory::run(plan)).await,
            Self::Cycles => Box::pin(cycles::run(plan)).await,
            Self::Pairs => Box::pin(pairs::run(plan)).await,
        }
    }
}

/// How much is done.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// OpenBao's program, where it takes part.
    pub(crate) openbao: Option<PathBuf>,
    /// Rounds; in each, the contenders take turns.
    pub(crate) rounds: usize,
    /// Sessions whose end is measured.
    pub(crate) ends: usize,
    /// Sessions that begin and end in [`Scenario::Cycles`].
    pub(crate) cycles: usize,
}

/// A report without what every report has.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) tables: Vec<crate::report::Table>,
    pub(crate) charts: Vec<crate::report::Chart>,
    pub(crate) wanted: Vec<crate::report::Wanted>,
    pub(crate) notes: Vec<String>,
    /// Versions of what took part, and whatever else belongs to the machine's description.
    pub(crate) used: Vec<(String, String)>,
}

impl Findings {
    pub(crate) fn about(title: &str, about: &str) -> Self {
        Self { title: title.to_owned(), about: about.to_owned(), ..Self::default() }
    }

    /// Says what took part.
    pub(crate) fn used(&mut self, name: &str, version: &str) {
        self.used.push((name.to_owned(), version.to_owned()));
    }

    /// The report of a scenario that was measured in this run.
    pub(crate) fn into_report(self, scenario: Scenario, mut run: crate::machine::Run) -> Report {
        run.machine.extend(self.used);
        Report {
            name: scenario.name().to_owned(),
            title: self.title,
            about: self.about,
            tables: self.tables,
            charts: self.charts,
            wanted: self.wanted,
            notes: self.notes,
            run,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_scenario_is_on_the_page_under_the_word_that_asks_for_it() {
        assert_eq!(Scenario::value_variants().len(), Scenario::ALL.len());
        for scenario in Scenario::value_variants() {
            assert!(Scenario::ALL.contains(scenario), "{scenario:?}");
            let word = scenario.to_possible_value().expect("none is hidden");
            assert_eq!(word.get_name(), scenario.name());
        }
    }
}
