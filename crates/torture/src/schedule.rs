//! Which fault comes next. Pure, but for the chance that is passed in.
//!
//! Always holds: each fault has its turn, in an order of chance, before any has its second; one that did not hit comes again
//! before those that did. First turns are short, so that all of them fit; what time is left goes to long ones.

use crate::faults::Fault;
use crate::stage::Dose;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use std::collections::VecDeque;
use std::time::Duration;

/// How often a fault is tried that does not hit.
const TRIES: u32 = 2;
/// The longest that a round with a long dose takes, with recovery and all looks.
const LONG: Duration = Duration::from_secs(150);
/// The same with a short one, mostly.
const SHORT: Duration = Duration::from_secs(45);

/// The faults of one stage.
#[derive(Debug)]
pub struct Schedule {
    due: VecDeque<(Fault, u32)>,
    all: Vec<Fault>,
}

impl Schedule {
    /// None of them had its turn yet.
    #[must_use]
    pub fn of(faults: &[Fault], random: &mut StdRng) -> Self {
        let mut all = faults.to_vec();
        all.shuffle(random);
        Self { due: all.iter().map(|fault| (*fault, 1)).collect(), all }
    }

    /// Who is next, and how much of it; none when all had their turn and no time is left for more.
    pub fn next(&mut self, left: Duration, dose: Dose, random: &mut StdRng) -> Option<Turn> {
        if let Some((fault, number)) = self.due.pop_front() {
            return Some(Turn { fault, dose: Dose::Short, number });
        }
        let dose = if left >= LONG { dose } else { Dose::Short };
        let fault = self.all.choose(random).filter(|_| left >= SHORT)?;
        Some(Turn { fault: *fault, dose, number: TRIES })
    }

    /// What came of a turn.
    pub fn had(&mut self, turn: &Turn, hits: u64) {
        if hits == 0 && turn.number < TRIES {
            self.due.push_back((turn.fault, turn.number + 1));
        }
    }
}

/// A fault that is to be injected now.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Which.
    pub fault: Fault,
    /// How much of it.
    pub dose: Dose,
    number: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults;
    use crate::stage::Kind;
    use rand::SeedableRng as _;
    use std::collections::BTreeSet;

    const HOUR: Duration = Duration::from_secs(3600);

    fn turns(schedule: &mut Schedule, count: usize, left: Duration) -> Vec<Turn> {
        let mut random = StdRng::seed_from_u64(7);
        (0..count).map_while(|_| schedule.next(left, Dose::Long, &mut random)).collect()
    }

    fn plain() -> Schedule {
        let faults: Vec<Fault> = faults::all().iter().filter(|fault| fault.kind == Kind::Plain).copied().collect();
        Schedule::of(&faults, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn every_fault_has_its_turn_before_one_has_its_second_whatever_time_is_left() {
        let mut schedule = plain();
        let count = schedule.all.len();
        let first = turns(&mut schedule, count, Duration::ZERO);
        assert_eq!(first.iter().map(|turn| turn.fault.number).collect::<BTreeSet<_>>().len(), count);
        assert!(first.iter().all(|turn| turn.dose == Dose::Short));
        assert!(turns(&mut schedule, 1, SHORT / 2).is_empty(), "no time is left");
        assert_eq!(turns(&mut schedule, 1, SHORT)[0].dose, Dose::Short);
        assert_eq!(turns(&mut schedule, 1, HOUR)[0].dose, Dose::Long);
    }

    #[test]
    fn a_fault_that_did_not_hit_comes_again_once() {
        let mut schedule = plain();
        let count = schedule.all.len();
        let first = turns(&mut schedule, count, HOUR);
        schedule.had(&first[3], 0);
        schedule.had(&first[4], 1);
        let again = turns(&mut schedule, 1, Duration::ZERO);
        assert_eq!(again[0].fault.number, first[3].fault.number);
        schedule.had(&again[0], 0);
        assert!(turns(&mut schedule, 1, Duration::ZERO).is_empty());
    }

    #[test]
    fn half_an_hour_is_enough_for_every_fault_once() {
        let seconds: u32 = faults::all().iter().map(|fault| u32::from(fault.seconds)).sum();
        assert!(seconds < 25 * 60, "{seconds} s as measured, and a slower machine needs some of the rest");
        assert_eq!(faults::all().len(), 40, "the matrix has F1 to F40");
    }
}
