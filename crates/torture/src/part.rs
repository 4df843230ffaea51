//! The parts of the system that a fault can take out of action, and which of them are out now.
//!
//! Bounds in time hold for what is whole: the judge stops its watch while a part that it needs is out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A part that can be out of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Every agent.
    Agent,
    /// Every control plane.
    Plane,
    /// The ledger.
    Ledger,
    /// The target.
    Target,
    /// The way from agents to the target.
    AgentToTarget,
    /// The way from agents to the control plane.
    AgentToPlane,
    /// The way from clients to the control plane.
    ClientToPlane,
    /// The way from the control plane to the ledger.
    PlaneToLedger,
}

const ALL: [Part; 8] = [
    Part::Agent,
    Part::Plane,
    Part::Ledger,
    Part::Target,
    Part::AgentToTarget,
    Part::AgentToPlane,
    Part::ClientToPlane,
    Part::PlaneToLedger,
];

/// A set of parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts(u16);

impl Parts {
    /// These parts.
    #[must_use]
    pub fn of(parts: &[Part]) -> Self {
        Self(parts.iter().fold(0, |set, part| set | part.bit()))
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of these is in the set.
    #[must_use]
    pub fn has_any(self, parts: &[Part]) -> bool {
        self.0 & Self::of(parts).0 != 0
    }

    /// Whether the agents can end what is over by the target's clock.
    #[must_use]
    pub fn can_expire(self) -> bool {
        !self.has_any(&[Part::Agent, Part::Target, Part::AgentToTarget])
    }

    /// Whether what the ledger wants can reach the target.
    #[must_use]
    pub fn can_end(self) -> bool {
        self.can_expire() && !self.has_any(&[Part::Plane, Part::Ledger, Part::AgentToPlane, Part::PlaneToLedger])
    }
}

impl Part {
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// What is out now. Everybody holds the same one.
#[derive(Debug, Clone, Default)]
pub struct Outages(Arc<[AtomicU32; ALL.len()]>);

impl Outages {
    /// Takes parts out until the guard is dropped.
    #[must_use]
    pub fn begin(&self, parts: &[Part]) -> Outage {
        for part in parts {
            self.0[*part as usize].fetch_add(1, Ordering::SeqCst);
        }
        Outage { outages: self.clone(), parts: parts.to_vec() }
    }

    /// What is out now.
    #[must_use]
    pub fn now(&self) -> Parts {
        let out = |part: &&Part| self.0[**part as usize].load(Ordering::SeqCst) > 0;
        Parts(ALL.iter().filter(out).fold(0, |set, part| set | part.bit()))
    }
}

/// Parts that are out for as long as this lives.
#[derive(Debug)]
pub struct Outage {
    outages: Outages,
    parts: Vec<Part>,
}

impl Drop for Outage {
    fn drop(&mut self) {
        for part in &self.parts {
            self.outages.0[*part as usize].fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_out_until_the_last_fault_that_took_it_is_over() {
        let outages = Outages::default();
        let first = outages.begin(&[Part::Agent, Part::Plane]);
        let second = outages.begin(&[Part::Agent]);
        assert!(!outages.now().can_expire() && !outages.now().can_end());
        drop(first);
        assert!(!outages.now().can_expire());
        drop(second);
        assert_eq!(outages.now(), Parts::default());
        assert!(outages.now().can_end());
    }

    #[test]
    fn expiry_needs_agent_and_target_alone_and_an_end_needs_all_but_the_client() {
        assert!(Parts::of(&[Part::Plane, Part::Ledger, Part::AgentToPlane]).can_expire());
        assert!(!Parts::of(&[Part::AgentToTarget]).can_expire());
        assert!(!Parts::of(&[Part::PlaneToLedger]).can_end());
        assert!(Parts::of(&[Part::ClientToPlane]).can_end());
    }
}
